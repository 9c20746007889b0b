// The keys that say which lines go out and what is hidden in them, as data (schema.ts): of sources, and `select` of sinks.
// What a rule does with a line is in select/.
import type { RedactRule, SelectConfig, SelectRule } from './config.ts'
import * as format from './formats.ts'
import { choice, text } from './scalars.ts'
import { key, list, REQUIRED, record, type Shape, UNSET, yaml } from './shapes.ts'

const globs = (noun: string, doc: string) => key<string[]>(list(format.nameGlob(), noun, 1), UNSET, doc)

const selectRules = list(
  record<SelectRule>({
    name: key(format.name(), REQUIRED, 'Lines are counted as skipped under this name.'),
    namespaces: globs('namespaces', 'The namespace is one of these; `*` stands for anything.'),
    containers: globs('containers', 'The container is one of these.'),
    podLabels: key<Record<string, string>>(
      {
        kind: 'map',
        noun: 'labels of a pod (key: value, * standing for anything)',
        checkKey: format.labelKeyProblem,
        of: format.labelValue(),
      },
      UNSET,
      'The pod has all of these labels. Where a pod is not known in time, its lines go out.',
    ),
    streams: key<('stdout' | 'stderr')[]>(
      list(choice(['stdout', 'stderr']), 'streams', 1),
      UNSET,
      'The source stream.',
    ),
    line: key(format.regExp(), UNSET, 'The line (the first 16 KiB of it) matches; `(?i)` in front: in whatever case.'),
  }),
  'rules',
  1,
) as Shape<SelectRule[]>

/** Of a source, and of a sink. */
export const select = key<SelectConfig>(
  record({
    include: key(
      selectRules,
      UNSET,
      'Only lines that one of these rules is about go out; others are skipped (rule `include`). Of what a rule gives, all must hold.',
    ),
    exclude: key(selectRules, UNSET, 'Lines that one of these rules is about are skipped.'),
  }) as Shape<SelectConfig>,
  UNSET,
  'Which lines go out. What is left out is read and counted as skipped, by rule.',
)

export const redact = key<RedactRule[]>(
  list(
    record<RedactRule>({
      name: key(format.name(), REQUIRED, 'Changed lines are counted under this name.'),
      pattern: key(
        format.regExp(),
        REQUIRED,
        'What is replaced, wherever it is in the line. With look-around, back references or `(?i)` it has a second for a line; one that takes longer is hidden as a whole.',
      ),
      replacement: key(text('a string', /^.*$/s), yaml('"***"'), 'What stands instead; `$1` is the first group.'),
    }),
    'rules',
    1,
  ) as Shape<RedactRule[]>,
  UNSET,
  'What is hidden in lines before they go anywhere.',
)
