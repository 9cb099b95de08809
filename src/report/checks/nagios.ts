/**
 * Findings as a monitoring plugin prints them: one line and performance data. Source: Monitoring
 * Plugins Development Guidelines, "Plugin Output for Nagios", "Performance data".
 */
import type { Finding, FindingStatus } from './finding.ts'

const WORDS: Readonly<Record<FindingStatus, string>> = {
  ok: 'OK',
  warn: 'WARNING',
  fail: 'CRITICAL',
}
const EXIT_CODES: Readonly<Record<FindingStatus, number>> = { ok: 0, warn: 1, fail: 2 }
/** Metric name ending → unit of measurement. */
const UNITS: readonly [string, string][] = [
  ['Bytes', 'B'],
  ['Ms', 'ms'],
]

/** The worst of all findings. */
export function worstStatus(findings: readonly Finding[]): FindingStatus {
  if (findings.some(({ status }) => status === 'fail')) return 'fail'
  return findings.some(({ status }) => status === 'warn') ? 'warn' : 'ok'
}

/** The line, without line end, and the plugin's exit code. */
export function nagiosLine(findings: readonly Finding[]): {
  readonly line: string
  readonly exitCode: number
} {
  const status = worstStatus(findings)
  const bad = findings.filter((finding) => finding.status !== 'ok')
  const order = (finding: Finding): number => (finding.status === 'fail' ? 0 : 1)
  const said = [...bad]
    .sort((one, other) => order(one) - order(other))
    .map(({ check, server, found }) => `${server ?? 'cluster'} ${check}: ${found}`)
  const text = said.length === 0 ? `${findings.length} checks ok` : said.join('; ')
  const data = performanceData(findings)
  const tail = data.length === 0 ? '' : ` | ${data.join(' ')}`
  // A bar would begin the performance data.
  const line = `BACKSTAY ${WORDS[status]} - ${text.replaceAll('|', '/').replaceAll('\n', ' ')}${tail}`
  return { line, exitCode: EXIT_CODES[status] }
}

/**
 * A label stands once, as the guidelines want it: where two checks measure something of one name,
 * each has the check's before it.
 */
function performanceData(findings: readonly Finding[]): readonly string[] {
  const measured = findings.flatMap((finding) =>
    Object.entries(finding.metrics).map(([name, value]) => {
      const [ending, unit] = UNITS.find(([suffix]) => name.endsWith(suffix)) ?? ['', '']
      const metric = name.slice(0, name.length - ending.length)
      return { server: finding.server ?? 'cluster', check: finding.check, metric, value, unit }
    }),
  )
  const counts = Map.groupBy(measured, ({ server, metric }) => `${server}_${metric}`)
  const used = new Map<string, number>()
  return measured.map(({ server, check, metric, value, unit }) => {
    const isAlone = counts.get(`${server}_${metric}`)?.length === 1
    const label = isAlone ? `${server}_${metric}` : `${server}_${check}_${metric}`
    const times = (used.get(label) ?? 0) + 1
    used.set(label, times)
    const unique = times === 1 ? label : `${label}_${times}`
    return `'${unique.replaceAll(/['=\s]/g, '_')}'=${value}${unit}`
  })
}
