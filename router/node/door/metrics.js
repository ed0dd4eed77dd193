/* Counters and gauges as Prometheus text. */

/**
 * One line a sample, sorted, each with its type.
 * @param {Iterable<[string, number]>} gauges @param {Iterable<[string, number]>} counters
 */
export function render(gauges, counters) {
  const lines = []
  for (const [name, value] of sorted(gauges)) {
    lines.push(`# TYPE falsework_${name} gauge`, `falsework_${name} ${Number(value.toPrecision(6))}`)
  }
  for (const [name, count] of sorted(counters)) {
    lines.push(`# TYPE falsework_${name}_total counter`, `falsework_${name}_total ${count}`)
  }
  return lines.join('\n') + '\n'
}

/** @param {Iterable<[string, number]>} samples */
function sorted(samples) {
  return [...samples].sort(([one], [other]) => (one < other ? -1 : 1))
}
