/* The page's WebSocket: says that the worker is here, carries live updates, and never gives up. */

import { Outgoing } from './falsework_outgoing.js'
import { backoff, pause } from './falsework_waits.js'

const BEAT = 5_000
/** Two echoes missed and some: the connection is dead, whatever the browser thinks. */
const SILENCE = 16_000

/** @typedef {{packet_type: string, subject_id?: string, data?: any}} Packet */

/** One agent's connection. It reopens itself until `close`. */
export class Connection {
  #agentId
  #onpacket
  #onstate
  #outgoing = new Outgoing()
  /** @type {WebSocket | null} */
  #socket = null
  #attempt = 0
  #heard = 0
  #isAnswered = false
  #isClosed = false
  /** @type {() => void} */
  #stopTicking = () => {}

  /**
   * @param {string} agentId
   * @param {(packet: Packet) => void} onpacket
   * @param {(isOpen: boolean) => void} onstate
   */
  constructor(agentId, onpacket, onstate) {
    this.#agentId = agentId
    this.#onpacket = onpacket
    this.#onstate = onstate
  }

  open() {
    this.#stopTicking = tick(() => this.#beat())
    this.#dial()
  }

  /** Leave for good. */
  close() {
    this.#isClosed = true
    this.#stopTicking()
    this.#socket?.close(1000)
    this.#socket = null
  }

  /**
   * Send a live update, now or once connected. False: the queue was full, and its oldest update is lost.
   * @param {object} data
   */
  send(data) {
    const kept = this.#outgoing.push(this.#packet('mephisto_bound_live_update', data))
    this.#flush()
    return kept
  }

  #dial() {
    const socket = new WebSocket(socketAddress())
    this.#socket = socket
    this.#isAnswered = false
    this.#heard = performance.now()
    socket.onopen = () => this.#greet(socket)
    socket.onmessage = event => this.#read(event.data)
    socket.onclose = () => this.#lost(socket)
  }

  /** @param {WebSocket} socket */
  #greet(socket) {
    this.#heard = performance.now()
    socket.send(JSON.stringify(this.#packet('alive', { protocol: 1 })))
    this.#beat()
    this.#flush()
  }

  #flush() {
    if (this.#socket?.readyState !== WebSocket.OPEN) return
    for (const packet of this.#outgoing.take()) this.#socket.send(JSON.stringify(packet))
  }

  #beat() {
    const socket = this.#socket
    if (!socket) return
    if (performance.now() - this.#heard > SILENCE) this.#lost(socket)
    else if (socket.readyState === WebSocket.OPEN) {
      socket.send(JSON.stringify(this.#packet('heartbeat')))
      this.#outgoing.beat()
    }
  }

  /** @param {unknown} frame */
  #read(frame) {
    this.#heard = performance.now()
    this.#attempt = 0
    if (!this.#isAnswered) this.#onstate((this.#isAnswered = true))
    for (const packet of packetsOf(frame)) {
      if (packet.packet_type === 'heartbeat') this.#outgoing.echoed()
      this.#onpacket(packet)
    }
  }

  /** @param {WebSocket} socket */
  async #lost(socket) {
    if (this.#isClosed || socket !== this.#socket) return
    this.#socket = null
    socket.onclose = socket.onmessage = socket.onopen = null
    socket.close()
    this.#outgoing.broken()
    this.#onstate(false)
    await pause(backoff(this.#attempt++))
    if (!this.#isClosed && !this.#socket) this.#dial()
  }

  /** @param {string} type @param {object} [data] */
  #packet(type, data) {
    return { packet_type: type, subject_id: this.#agentId, data, client_timestamp: Date.now() / 1000 }
  }
}

function socketAddress() {
  const address = new URL('/', location.href)
  address.protocol = address.protocol === 'https:' ? 'wss:' : 'ws:'
  return address.href
}

/**
 * The packets of a frame: one, or an array of them. What is no packet is passed over.
 * @param {unknown} frame
 * @returns {Packet[]}
 */
export function packetsOf(frame) {
  try {
    const said = JSON.parse(String(frame))
    return (Array.isArray(said) ? said : [said]).filter(packet => typeof packet?.packet_type === 'string')
  } catch {
    return []
  }
}

/**
 * Call back every few seconds, also in the background where workers are allowed. Returns what stops it.
 * @param {() => void} act
 */
function tick(act) {
  try {
    const ticker = new Worker(new URL('./falsework_ticker.js', import.meta.url), { name: String(BEAT) })
    let fallback = 0
    ticker.onmessage = act
    ticker.onerror = () => (fallback = setInterval(act, BEAT))
    return () => (ticker.terminate(), clearInterval(fallback))
  } catch {
    const timer = setInterval(act, BEAT)
    return () => clearInterval(timer)
  }
}
