/* The WebSockets: messages in, packets out, pings, slow readers.

   What is said over them is the switchboard's business; ws reads the frames and closes connections. Packets for one peer that
   are queued in one turn of the loop leave as one frame, where the other end takes arrays. Writing never waits: the connection
   buffers, and a peer that lets its buffer grow for too long, or too far, is dropped. */

import { WebSocketServer } from 'ws'

import { closings } from '../wire/agreed.js'
import { encodeFrame } from '../wire/protocol.js'
import { textFrame } from './frames.js'

const ARRAY_OVERHEAD = 2
/** Bytes in a peer's buffer from which it counts as behind. */
const STALLED_ABOVE = 1 << 16
/** Seconds that the other end gets to answer a close. */
const CLOSE_PATIENCE = 5
/** Bytes that a close frame has room for, beside its code. */
const LONGEST_REASON = 123

/**
 * @typedef {import('ws').WebSocket} WebSocket
 * @typedef {import('node:net').Socket} Connection
 * @typedef {import('../wire/protocol.js').Limits} Limits
 * @typedef {import('../wire/protocol.js').Packet} Packet
 * @typedef {import('../board/switchboard.js').Instant} Instant
 * @typedef {(socket: Socket, packet: Packet, at: Instant) => void} Listener
 */

/** One peer: a page or the launcher. */
export class Socket {
  #webSocket
  #connection
  #sockets
  /** @type {string[]} */
  #outgoing = []
  /** @type {{code: number, reason: string} | null} */
  #closing = null
  /** Bytes that had come at the last look at who is silent, and whether it was asked for a sign of life then. */
  #bytesHeard = 0
  #pinged = false
  batches = false
  /** Where its packets go, once the first one has said who is there. @type {Listener | null} */
  listener = null
  closeCode = 1006

  /** @param {WebSocket} webSocket @param {Connection} connection @param {string | null} session @param {Sockets} sockets */
  constructor(webSocket, connection, session, sockets) {
    this.#webSocket = webSocket
    this.#connection = connection
    this.#sockets = sockets
    this.session = session
    this.#listen()
  }

  /** Queue a packet; it leaves at the end of this turn. @param {string} packet */
  send(packet) {
    if (this.#outgoing.push(packet) === 1) this.#sockets.wake(this)
  }

  /**
   * Send what is queued, then close. Whatever the other end still says is not heard.
   * @param {number} code @param {string} reason
   */
  close(code, reason) {
    if (this.#closing) return
    this.#closing = { code, reason }
    this.#sockets.wake(this)
  }

  /** Drop the connection without a word. */
  abort() {
    this.#webSocket.terminate()
  }

  /** Bytes that the peer has not taken yet. */
  get unread() {
    return this.#connection.writableLength
  }

  /** Write what is queued. */
  flush() {
    const packets = this.#outgoing
    this.#outgoing = []
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return
    if (packets.length) this.#write(this.batches ? framesOf(packets, this.#sockets.limits.frame) : packets)
    if (!this.#closing) return
    this.#webSocket.close(this.#closing.code, cut(this.#closing.reason))
    this.#sockets.leaves(this)
  }

  /** One look at whether it is silent: the first asks it for a sign of life, the second drops it. */
  checkAlive() {
    const bytes = this.#connection.bytesRead
    if (bytes !== this.#bytesHeard) this.#pinged = false
    else if (this.#pinged) this.abort()
    else if (this.#webSocket.readyState === this.#webSocket.OPEN) {
      this.#pinged = true
      this.#webSocket.ping()
    }
    this.#bytesHeard = bytes
  }

  #listen() {
    this.#webSocket
      .on('message', (content, isBinary) => {
        if (!this.#closing) this.#sockets.onMessage(this, isBinary, /** @type {Buffer} */ (content))
      })
      .on('error', error => {
        if (/** @type {NodeJS.ErrnoException} */ (error).code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH') {
          this.closeCode = closings.frame_too_large.code
        }
      })
      .on('close', code => {
        if (this.closeCode !== closings.frame_too_large.code) this.closeCode = code
        this.#sockets.isGone(this)
      })
  }

  /** Past ws, whose `send` costs two buffers and a gathering write for each frame. @param {string[]} frames */
  #write(frames) {
    this.#connection.write(frames.length === 1 ? textFrame(frames[0]) : Buffer.concat(frames.map(textFrame)))
    if (this.unread > STALLED_ABOVE && this.#sockets.fallsBehind(this)) {
      this.#connection.once('drain', () => this.#sockets.keepsUp(this))
    }
  }
}

/** All open sockets. */
export class Sockets {
  #clock
  #onGone
  #server
  /** @type {Set<Socket>} */
  #open = new Set()
  /** @type {Socket[]} */
  #ready = []
  /** @type {Map<Socket, number>} */
  #behind = new Map()
  /** @type {Map<Socket, number>} */
  #leaving = new Map()
  #checkedAt
  #whenAllGone = () => {}
  droppedSlow = 0

  /**
   * `onMessage(socket, isBinary, content)` is called for each message, in the turn in which it came; `clock()` gives seconds.
   * @param {Readonly<Limits>} limits @param {() => number} clock
   * @param {(socket: Socket, isBinary: boolean, content: Buffer) => void} onMessage @param {(socket: Socket) => void} onGone
   */
  constructor(limits, clock, onMessage, onGone) {
    this.limits = limits
    this.#clock = clock
    this.onMessage = onMessage
    this.#onGone = onGone
    this.#checkedAt = clock()
    this.#server = new WebSocketServer({
      noServer: true,
      clientTracking: false,
      handleProtocols: () => false,
      maxPayload: limits.frame,
      skipUTF8Validation: true // decodeFrame looks, and answers
    })
  }

  get size() {
    return this.#open.size
  }

  /**
   * Answer a request's handshake, which is one, and take its connection over.
   * @param {import('node:http').IncomingMessage} request @param {Connection} connection @param {Buffer} head
   * @param {string | null} session
   */
  open(request, connection, head, session) {
    this.#server.handleUpgrade(request, connection, head, webSocket => {
      this.#open.add(new Socket(webSocket, connection, session, this))
    })
  }

  /** Something is queued for this socket. @param {Socket} socket */
  wake(socket) {
    if (this.#ready.push(socket) === 1) setImmediate(() => this.#flush())
  }

  /** It does not take what it is sent. False if that was known. @param {Socket} socket */
  fallsBehind(socket) {
    if (this.#behind.has(socket)) return false
    this.#behind.set(socket, this.#clock())
    return true
  }

  /** It has taken all of it. @param {Socket} socket */
  keepsUp(socket) {
    this.#behind.delete(socket)
  }

  /** It was sent a close. @param {Socket} socket */
  leaves(socket) {
    if (this.#open.has(socket)) this.#leaving.set(socket, this.#clock())
  }

  /** Its connection has ended. @param {Socket} socket */
  isGone(socket) {
    this.#open.delete(socket)
    this.#behind.delete(socket)
    this.#leaving.delete(socket)
    if (this.size === 0) this.#whenAllGone()
    this.#onGone(socket)
  }

  /** Drop who is too far, or for too long, behind, or does not answer. Call it a few times a second. @param {number} now */
  tend(now) {
    const { peer_bytes, peer_stall, ping } = this.limits
    for (const [socket, since] of this.#behind) {
      if (socket.unread <= peer_bytes && now - since <= peer_stall) continue
      this.droppedSlow += 1
      socket.abort()
    }
    for (const [socket, since] of this.#leaving) if (now - since > CLOSE_PATIENCE) socket.abort()
    if (now - this.#checkedAt < ping / 2) return
    this.#checkedAt = now
    for (const socket of this.#open) socket.checkAlive()
  }

  /**
   * Tell everybody that the server goes, wait for their answers up to `timeout` milliseconds, and drop the rest.
   * @param {number} timeout
   */
  async closeAll(timeout) {
    for (const socket of this.#open) socket.close(closings.going_away.code, closings.going_away.reason)
    if (this.size) {
      await new Promise(resolve => {
        this.#whenAllGone = () => resolve(undefined)
        setTimeout(resolve, timeout)
      })
    }
    for (const socket of this.#open) socket.abort()
  }

  #flush() {
    const ready = this.#ready
    this.#ready = []
    for (const socket of ready) socket.flush()
  }
}

/** Pack packets into as few frames as the limit allows, in order. @param {string[]} packets @param {number} limit bytes */
function framesOf(packets, limit) {
  const whole = encodeFrame(packets)
  if (packets.length === 1 || whole.length <= limit / 3 || Buffer.byteLength(whole) <= limit) return [whole]
  const frames = []
  /** @type {string[]} */
  let batch = []
  let size = ARRAY_OVERHEAD
  for (const packet of packets) {
    const length = Buffer.byteLength(packet) + 1
    if (batch.length && size + length > limit) {
      frames.push(encodeFrame(batch))
      batch = []
      size = ARRAY_OVERHEAD
    }
    batch.push(packet)
    size += length
  }
  frames.push(encodeFrame(batch))
  return frames
}

/** What fits into a close frame. @param {string} reason */
function cut(reason) {
  const bytes = Buffer.from(reason)
  return bytes.length <= LONGEST_REASON ? reason : bytes.toString('utf8', 0, LONGEST_REASON - 3).replace(/\ufffd+$/, '')
}
