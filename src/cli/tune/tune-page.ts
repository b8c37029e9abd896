/** The report as one HTML file that needs nothing else. Pure but for the default parts. @module */
import {
  escapeHtml,
  frame,
  listOf,
  plotPlace,
  readPageParts,
  tableOf,
} from '../bench/page-frame.ts';
import type { PageParts } from '../bench/page-frame.ts';
import { durationText } from './setting.ts';
import { curvesOf } from './tune-page-script.ts';
import type { TuneReport, SettingResult } from './tune-report.ts';
import {
  TUNE_COLUMNS,
  adviceLines,
  factLines,
  heldResult,
  tuneDoubts,
  tuneRow,
} from './tune-text.ts';

const PAGE_SCRIPT = new URL('./tune-page-script.js', import.meta.url);

export function tunePage(
  report: TuneReport,
  parts: PageParts = readPageParts(PAGE_SCRIPT),
): string {
  return frame(parts, {
    title: `millrace tune: ${report.pipeline}`,
    report,
    body: `<h1>Tuning ${escapeHtml(report.pipeline)}</h1>
<pre>${adviceLines(report).map(escapeHtml).join('\n')}</pre>
<p class="facts">${factLines(report).map(escapeHtml).join('<br>')}</p>
<h2>When not to believe it</h2>
${listOf(tuneDoubts(report))}
<h2>Block interval × batch interval</h2>
<p>${escapeHtml(heatWords(report))}</p>
${heatMap(report)}
${plotPlace({ id: 'curves', title: 'Latency against rate', text: curveWords(report) })}
<h2>Numbers</h2>
${tableOf(TUNE_COLUMNS, report.settings.map(tuneRow))}`,
  });
}

function curveWords(report: TuneReport): string {
  const lines = curvesOf(report).names.length;
  return (
    'From when a record came to when its batch was done, at the median, by how many came. ' +
    (lines === 0
      ? 'No setting was measured at two rates: there is no line to be drawn.'
      : 'A line for each setting that was measured at two rates or more. Where a line goes up ' +
        'steeply, batches begin to queue.')
  );
}

/** With the threads of the best setting, or of the one that came nearest. */
function ofBestThreads({ settings, recommendation }: TuneReport): SettingResult[] {
  const best = recommendation?.setting ?? settings[0]?.setting;
  return settings.filter(
    ({ setting }) =>
      setting.executors === best?.executors && setting.receiverExecutors === best.receiverExecutors,
  );
}

function heatWords(report: TuneReport): string {
  const [first] = ofBestThreads(report);
  if (first === undefined) return 'Nothing was measured.';
  const { receiverExecutors, executors } = first.setting;
  const what = isByLatency(report)
    ? 'latency in ms at the wanted rate; — where it was not sustained'
    : 'thousand records/s at full speed';
  return (
    `With ${receiverExecutors} receiving and ${executors} running tasks: ${what}. ` +
    'The darker, the better; empty: not tried.'
  );
}

function isByLatency({ wantedRate }: TuneReport): boolean {
  return wantedRate !== null;
}

interface Heat {
  readonly text: string;
  /** The higher, the better; absent: nothing to compare. */
  readonly worth?: number;
}

/** Of one setting. */
function heatOf(report: TuneReport, { rates }: SettingResult): Heat {
  if (isByLatency(report)) {
    const held = heldResult(rates.filter(({ wantedRate }) => wantedRate === report.wantedRate));
    if (held === undefined) return { text: '—' };
    const { median } = held.latencyMs.p50;
    return { text: median.toFixed(0), worth: 1 / median };
  }
  const full = rates.find(({ wantedRate }) => wantedRate === null);
  if (full === undefined) return { text: '' };
  const { median } = full.recordsPerSecond;
  return { text: (median / 1_000).toPrecision(3), worth: median };
}

/** A table, because a table needs no script. */
function heatMap(report: TuneReport): string {
  const { blockIntervalsMs, batchIntervalsMs } = report.axes;
  const results = ofBestThreads(report);
  const heats = new Map<string, Heat>(
    results.map((result) => {
      const { blockIntervalMs, batchIntervalMs } = result.setting;
      return [`${blockIntervalMs} ${batchIntervalMs}`, heatOf(report, result)];
    }),
  );
  const worths = [...heats.values()].flatMap(({ worth }) => worth ?? []);
  const [least, most] = [Math.min(...worths), Math.max(...worths)];
  const cell = (key: string): string => {
    const heat = heats.get(key);
    if (heat?.worth === undefined) return `<td>${heat?.text ?? ''}</td>`;
    const share = most === least ? 1 : (heat.worth - least) / (most - least);
    const ink = share > 0.6 ? '#fff' : '#222';
    const shade = `background: rgba(194, 87, 26, ${(0.1 + 0.9 * share).toFixed(2)}); color: ${ink}`;
    return `<td style="${shade}">${heat.text}</td>`;
  };
  const head = batchIntervalsMs.map((ms) => `<th>batch ${durationText(ms)}</th>`).join('');
  const rows = blockIntervalsMs.map((block) => {
    const cells = batchIntervalsMs.map((batch) => cell(`${block} ${batch}`)).join('');
    return `<tr><th>block ${durationText(block)}</th>${cells}</tr>`;
  });
  return `<table id="heat">\n<tr><th></th>${head}</tr>\n${rows.join('\n')}\n</table>`;
}
