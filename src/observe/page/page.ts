// The status page as one document: no external resource, one style and one script, both inline and allowed by their
// hashes alone. Put together once, when it is imported.
import { createHash } from 'node:crypto'
import { script } from './script.ts'
import { style } from './style.ts'

const tile = (id: string, title: string, extra = '') =>
  `<div class="card" id="${id}"><dt>${title}</dt><dd>–</dd>${extra}<dd></dd></div>`

const column = (sort: string, title: string, attributes = '') =>
  `<th scope="col" ${attributes}><button type="button" data-sort="${sort}">${title}</button></th>`

const html = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>taffrail</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<header><strong>taffrail</strong><span id="where"></span><span id="when"></span></header>
<main>
<section id="state" data-tone="wait" aria-label="State">
<div><h1 id="headline" role="status" aria-live="polite">Waiting for the agent</h1><ul id="reasons"></ul></div>
</section>
<noscript><p class="card">This page needs JavaScript; the same is at <a href="status">status</a>.</p></noscript>
<dl id="tiles">
${tile('tile-rate', 'Delivered')}
${tile('tile-lag', 'Lag')}
${tile('tile-memory', 'Memory budget', '<div class="meter" aria-hidden="true"><div id="memory-bar"></div></div>')}
${tile('tile-checkpoint', 'Checkpoints')}
${tile('tile-files', 'Files')}
</dl>
<section aria-labelledby="sinks-title">
<h2 id="sinks-title">Sinks</h2>
<div id="sinks"></div>
<p class="card empty" id="no-sinks" hidden>No sinks are configured.</p>
</section>
<section id="webhooks" aria-labelledby="webhooks-title" hidden>
<h2 id="webhooks-title">Audit webhooks</h2>
<ul class="card" id="webhook-notes"></ul>
</section>
<section id="annotations" aria-labelledby="annotations-title" hidden>
<h2 id="annotations-title">Annotations that are not understood</h2>
<ul class="card" id="annotation-notes"></ul>
</section>
<section class="list" aria-labelledby="lineages-title">
<div class="tools">
<h2 id="lineages-title">Lineages</h2>
<input id="search" type="search" placeholder="Search names and paths" aria-label="Search names and paths" autocomplete="off">
<span id="note"></span>
</div>
<div class="card wide">
<table id="lineages">
<thead><tr>
${column('lineage', 'Lineage')}
${column('source', 'Source', 'class="minor"')}
${column('files', 'Files', 'class="number minor"')}
${column('sizeBytes', 'Size', 'class="number minor"')}
${column('lagBytes', 'Lag', 'class="number" aria-sort="descending"')}
${column('lagSeconds', 'Waiting', 'class="number" title="Age of the oldest line that is not acknowledged"')}
${column('lossSeconds', 'Lost in', 'class="number" title="Until the oldest file that is not acknowledged is deleted, if all goes on as lately"')}
</tr></thead>
<tbody id="rows"></tbody>
</table>
<p class="empty" id="no-lineages" hidden></p>
</div>
</section>
</main>
<script>${script}</script>
</body>
</html>
`

const hash = (source: string) => `'sha256-${createHash('sha256').update(source).digest('base64')}'`

/** The document at `/`, and the Content-Security-Policy to send with it. */
export const page = {
  html,
  contentSecurityPolicy: [
    "default-src 'none'",
    `script-src ${hash(script)}`,
    `style-src ${hash(style)}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
}
