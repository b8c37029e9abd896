/** A report as one HTML file that needs nothing else: style, plot library and numbers are in it.
 *
 * Text is escaped where it enters. uPlot's files are copied beside this one by the build, with its
 * licence, which the page carries too. @module */
import { readFileSync } from 'node:fs';

/** What a page is made of beside the report. */
export interface PageParts {
  readonly plotScript: string;
  readonly plotStyle: string;
  readonly plotLicence: string;
  /** Compiled; exports `drawPage(document, uPlot, report)`. */
  readonly pageScript: string;
}

export interface PageContent {
  readonly title: string;
  /** HTML. */
  readonly body: string;
  /** Plain data, for the script. */
  readonly report: object;
}

export function frame(parts: PageParts, { title, body, report }: PageContent): string {
  const { plotScript, plotStyle, plotLicence, pageScript } = parts;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>${escapeHtml(title)}</title>
<style>
${plotStyle}
${STYLE}
</style>
</head>
<body>
${body}
<script id="report" type="application/json">${escapeJson(report)}</script>
<!-- Plots by uPlot.
${plotLicence.replaceAll('--', '- -').trim()}
-->
<script>${plotScript}</script>
<script type="module">
${pageScript}
drawPage(document, uPlot, JSON.parse(document.getElementById('report').textContent));
</script>
</body>
</html>
`;
}

/** From the built package. @param pageScript a compiled module that exports `drawPage`. */
export function readPageParts(pageScript: URL): PageParts {
  const read = (name: string): string => readFileSync(new URL(name, import.meta.url), 'utf8');
  return {
    plotScript: read('./uplot/uPlot.iife.min.js'),
    plotStyle: read('./uplot/uPlot.min.css'),
    plotLicence: read('./uplot/LICENSE'),
    pageScript: readFileSync(pageScript, 'utf8').replace(/^\/\/# sourceMappingURL=.*$/m, ''),
  };
}

const STYLE = `body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2em auto;
  padding: 0 1em; color: #222; background: #fff; }
h2 { margin: 2em 0 0; font-size: 1.2em; }
.facts, .u-legend, table { font-size: 13px; }
.facts { color: #666; }
table { border-collapse: collapse; }
td, th { text-align: right; padding: 2px 10px; border-bottom: 1px solid #ddd; }`;

export interface PlotText {
  /** As the page's script knows it. */
  readonly id: string;
  readonly title: string;
  readonly text: string;
}

export function plotPlace({ id, title, text }: PlotText): string {
  return `<h2>${escapeHtml(title)}</h2>\n<p>${escapeHtml(text)}</p>\n<div id="${id}"></div>`;
}

export function listOf(texts: readonly string[]): string {
  return `<ul>\n${texts.map((text) => `<li>${escapeHtml(text)}</li>`).join('\n')}\n</ul>`;
}

export function tableOf(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const lines = rows.map((row) => `<tr><td>${row.map(escapeHtml).join('</td><td>')}</td></tr>`);
  const head = columns.map(escapeHtml).join('</th><th>');
  return `<table>\n<tr><th>${head}</th></tr>\n${lines.join('\n')}\n</table>`;
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? '');
}

/** JSON that no text in it can end the script element of. */
export function escapeJson(value: unknown): string {
  return JSON.stringify(value).replaceAll('<', '\\u003c');
}
