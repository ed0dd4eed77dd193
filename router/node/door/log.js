/* The router's log: a line each on stderr, as stdout is for the ready line alone. */

export const log = {
  /** @param {string} message */
  info: message => write('INFO', message),
  /** @param {string} message */
  warning: message => write('WARNING', message),
  /** @param {string} message */
  error: message => write('ERROR', message)
}

/** @param {string} level @param {string} message */
function write(level, message) {
  process.stderr.write(`${new Date().toISOString()} ${level} ${message}\n`)
}
