/* The directory where a router keeps what was handed in: one router's at a time, and it knows how old it is. */

import { spawnSync } from 'node:child_process'
import fs from 'node:fs'
import path from 'node:path'

import { dataDirectory, filled } from '../wire/agreed.js'
import { syncDirectory } from '../wire/journal.js'
import { BIRTH, LOCK } from '../wire/outbox_file.js'
import { log } from './log.js'

/** The directory is another router's, or something else wrote to it. */
export class DataDirectoryError extends Error {}

/** Made if it is missing, and locked until the process ends, however it ends. */
export class DataDirectory {
  /**
   * Throws DataDirectoryError if another router has it, errors of the system as they come.
   * @param {string} directory @param {string} runId
   */
  constructor(directory, runId) {
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 })
    this.path = directory
    const lock = fs.openSync(path.join(directory, LOCK), fs.constants.O_RDWR | fs.constants.O_CREAT, 0o600)
    if (!take(lock)) throw new DataDirectoryError(filled(dataDirectory.in_use, { directory, holder: holder(lock) }))
    fs.ftruncateSync(lock, 0)
    fs.writeSync(lock, JSON.stringify({ run_id: runId, pid: process.pid }), 0)
  }

  /**
   * Seconds since this was asked for the first time, by this router or one before it; `wall` is now, since the epoch.
   * @param {number} wall
   */
  age(wall) {
    const birth = path.join(this.path, BIRTH)
    if (!fs.existsSync(birth)) writeWhole(birth, `${wall}\n`)
    const said = fs.readFileSync(birth, 'utf8').trim()
    if (!/^\d+(\.\d+)?$/.test(said)) {
      throw new DataDirectoryError(filled(dataDirectory.no_birth, { file: birth }))
    }
    return Math.max(0, wall - Number(said)) // a clock that was set back makes nothing younger than new
  }
}

/**
 * False if somebody else has it. Node cannot lock files. The lock that the `flock` command takes on an inherited descriptor is
 * ours, and stays when the command ends; it is also the Python router's kind.
 * @param {number} lock
 */
function take(lock) {
  const { status, error } = spawnSync('flock', ['-n', '3'], { stdio: ['ignore', 'ignore', 'ignore', lock] })
  if (error) log.warning(`the data directory is not locked, as there is no flock command: ${error.message}`)
  return Boolean(error) || status === 0
}

/** @param {number} lock */
function holder(lock) {
  try {
    return filled(dataDirectory.holder, JSON.parse(fs.readFileSync(lock, 'utf8')))
  } catch (error) {
    if (error instanceof SyntaxError) return dataDirectory.unknown_holder
    throw error
  }
}

/** There whole, and durably, or not at all. @param {string} file @param {string} content */
function writeWhole(file, content) {
  const partial = `${file}.part`
  const descriptor = fs.openSync(partial, 'w', 0o600)
  try {
    fs.writeSync(descriptor, content)
    fs.fsyncSync(descriptor)
  } finally {
    fs.closeSync(descriptor)
  }
  fs.renameSync(partial, file)
  syncDirectory(path.dirname(file))
}
