/* Who is known to the router, who may speak for whom, and who fell silent. No I/O, no clock.

   Only the launcher makes an agent known. A page speaks for an agent if it came with the session cookie under which the agent
   was given out. A framed browser may withhold the cookie; then the agent's id, which cannot be guessed, is all that there is,
   but once an agent's cookie was seen, it is asked for from then on. */

import { refusals } from '../wire/agreed.js'
import { Refused } from '../wire/errors.js'
import { DISCONNECT, NONE, WORKING } from '../wire/protocol.js'

/**
 * A socket as the switchboard sees it.
 * @typedef {object} Peer
 * @property {string | null} session the session cookie that it came with
 * @property {boolean} batches whether the other end said `protocol: 1`, so that a frame may hold several packets
 * @property {(packet: string) => void} send queue an encoded packet; it leaves at the end of this turn of the loop
 * @property {(code: number, reason: string) => void} close send what is queued, then close
 */

/** One worker's session on one unit, as far as the router knows it. */
export class Agent {
  status = NONE
  /** @type {Peer[]} */
  peers = []
  /** Updates for a page that is away. @type {Buffer[]} */
  backlog = []
  hadSocket = false
  heard = 0
  /** @type {string | null} */
  session = null
  sessionProven = false
  /** What was taken from this agent, so that a retry of the same submission gets the same answer. @type {string | null} */
  submissionId = null

  /** @param {string} agentId */
  constructor(agentId) {
    this.agentId = agentId
  }

  /** Whether silence of its page would matter. */
  get isWorking() {
    return this.hadSocket && WORKING.has(this.status) && this.submissionId === null
  }
}

/** All agents that the launcher gave out or spoke of. */
export class Agents {
  #limits
  #submitted
  /** @type {Map<string, Agent>} */
  #agents = new Map()
  /** Whose silence may matter; who has stopped working since is taken out at the next look. @type {Set<Agent>} */
  #atWork = new Set()
  /** @type {Map<Peer, Agent[]>} */
  #byPeer = new Map()

  /**
   * `submitted`: what agents handed in to a router before this one; taken out as they are made known.
   * @param {Readonly<import('../wire/protocol.js').Limits>} limits @param {Map<string, string>} submitted
   */
  constructor(limits, submitted) {
    this.#limits = limits
    this.#submitted = submitted
  }

  get size() {
    return this.#agents.size
  }

  [Symbol.iterator]() {
    return this.#agents.values()
  }

  /** The agent, or undefined. Asking creates nothing. @param {string | null} agentId */
  get(agentId) {
    return agentId === null ? undefined : this.#agents.get(agentId)
  }

  /** The agent, new if need be. Only on the launcher's word. @param {string} agentId */
  makeKnown(agentId) {
    return this.#agents.get(agentId) ?? this.#makeNew(agentId)
  }

  /** @param {string} agentId */
  #makeNew(agentId) {
    const agent = new Agent(agentId)
    agent.submissionId = this.#submitted.get(agentId) ?? null
    this.#submitted.delete(agentId)
    this.#agents.set(agentId, agent)
    return agent
  }

  /** The launcher's word on an agent. @param {Agent} agent @param {string} status */
  setStatus(agent, status) {
    agent.status = status
    this.#atWork.add(agent)
  }

  /**
   * Give an agent out to the browser that asked for it; it is the owner from now on.
   * @param {string} agentId @param {string} session
   */
  giveTo(agentId, session) {
    const agent = this.makeKnown(agentId)
    agent.session = session
    agent.sessionProven = false
    return agent
  }

  /** Whether an agent was given out under this session cookie. @param {string} session */
  hasSession(session) {
    for (const agent of this) if (agent.session === session) return true
    return false
  }

  /**
   * The agent that a page names, if it may speak for it. Throws Refused: 404 unknown, 403 somebody else's.
   * @param {string | null} agentId @param {string | null} session
   */
  authorise(agentId, session) {
    const agent = this.get(agentId)
    if (!agent) throw new Refused(refusals.not_signed_in)
    const isOwner = session === null ? !agent.sessionProven : agent.session === null || agent.session === session
    if (!isOwner) throw new Refused(refusals.not_your_agent)
    if (session !== null) {
      agent.session = session
      agent.sessionProven = true
    }
    return agent
  }

  /**
   * Let a socket speak for an agent; returns the oldest one where it had too many.
   * @param {Agent} agent @param {Peer} peer
   */
  attach(agent, peer) {
    agent.peers = [...agent.peers, peer] // pushing would set room for sixteen more aside
    agent.hadSocket = true
    this.#atWork.add(agent)
    this.#byPeer.set(peer, [...(this.#byPeer.get(peer) ?? []), agent])
    return agent.peers.length > this.#limits.sockets_per_agent ? agent.peers.shift() : undefined
  }

  /** A socket is gone. @param {Peer} peer */
  detach(peer) {
    for (const agent of this.#byPeer.get(peer) ?? []) agent.peers = agent.peers.filter(other => other !== peer)
    this.#byPeer.delete(peer)
  }

  /** Drop what is known of an agent. @param {Agent} agent */
  forget(agent) {
    this.#agents.delete(agent.agentId)
    this.#atWork.delete(agent)
  }

  /** Take back a `forget`: it is known as before, but for sockets that have gone since. @param {Agent} agent */
  restore(agent) {
    if (!this.#agents.has(agent.agentId)) this.#agents.set(agent.agentId, agent)
    this.#atWork.add(agent)
  }

  /** Mark the working agents whose pages were not heard for too long as disconnected; returns them. @param {number} now */
  fallSilent(now) {
    for (const agent of this.#atWork) if (!agent.isWorking) this.#atWork.delete(agent)
    const silent = [...this.#atWork].filter(agent => now - agent.heard > this.#limits.silence)
    for (const agent of silent) agent.status = DISCONNECT
    return silent
  }

  /** The router itself stood still (a suspended machine): that silence was nobody's. @param {number} pause */
  excuse(pause) {
    for (const agent of this.#atWork) agent.heard += pause
  }

  /** What `return_statuses` says, as pairs. @returns {[string, string][]} */
  statuses() {
    return Array.from(this, agent => [agent.agentId, agent.status])
  }
}
