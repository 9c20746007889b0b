#!/usr/bin/env node
// The command line: picks the command, turns its result into the exit code. The only process.exit.
import { restartUnderConfig, restartUnderLimits, restartWith, STREAM_FLAGS } from './limits.ts'
import { VERSION } from './version.ts'

const USAGE = `Usage: taffrail COMMAND [OPTIONS]

  run --config FILE [--once]   tail, enrich and deliver
  stream FILE...               follow files to standard output: a sidecar
  check --config FILE          print the configuration as it is understood, or its errors; --connect tries its servers
  setup --config FILE          index templates and lifecycle policies for Elasticsearch and OpenSearch
  replay DIR --config FILE     send dead letters again
  audit [FILE…|-]              who did what, when, from where and with what result, from audit logs
  policy simulate --policy FILE LOG...   what an audit policy keeps, trims and drops, by rule
  demo [--seconds N]           a small node on this machine, tailed and verified

  taffrail COMMAND --help      more on each
  taffrail --version
`

const io = {
  stdout: (text: string) => void process.stdout.write(text),
  stderr: (text: string) => void process.stderr.write(text),
  env: process.env,
}

async function main(argv: string[]): Promise<number> {
  const [command, ...args] = argv
  switch (command) {
    case 'run': {
      await restartUnderConfig(args)
      const { run } = await import('./commands/run.ts')
      return run(args, io)
    }
    case 'stream': {
      restartWith(STREAM_FLAGS)
      const { stream } = await import('./commands/stream.ts')
      return stream(args, io)
    }
    case 'check': {
      const { check } = await import('./commands/check.ts')
      return check(args, io)
    }
    case 'replay': {
      await restartUnderConfig(args)
      const { replay } = await import('./commands/replay.ts')
      return replay(args, io)
    }
    case 'setup': {
      const { setup } = await import('./commands/setup.ts')
      return setup(args, io)
    }
    case 'audit': {
      const { audit } = await import('./commands/audit.ts')
      const { auditIo } = await import('./commands/audit-io.ts')
      return audit(args, auditIo(io.stderr))
    }
    case 'policy': {
      const { policy } = await import('./commands/policy.ts')
      return policy(args, io)
    }
    case 'demo': {
      const { demo } = await import('./commands/demo.ts')
      return demo(args, { ...io, prepare: restartUnderLimits })
    }
    case '--version':
      io.stdout(`taffrail ${VERSION}\n`)
      return 0
    case '--help':
    case '-h':
    case 'help':
      io.stdout(USAGE)
      return 0
    default:
      io.stderr(command === undefined ? USAGE : `taffrail: there is no command ${command}\n\n${USAGE}`)
      return 2
  }
}

const code = await main(process.argv.slice(2))
process.exit(code)
