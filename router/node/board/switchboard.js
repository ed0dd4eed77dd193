/* Who gets what: events in, packets out. No I/O, no clock: sockets are Peers, time is handed in.

   Two kinds of events come in: what sockets said (`pageSaid`, `launcherSaid`) and what pages asked by HTTP (`register`,
   `awaitOnboarding`). An HTTP request that the launcher must answer waits here until `settle` is called with the answer or
   with the Refused that it gets instead. */

import { bounds, malformed, pages, refusals } from '../wire/agreed.js'
import { Malformed, Refused } from '../wire/errors.js'
import * as wire from '../wire/protocol.js'
import { checkData, encode } from '../wire/protocol.js'
import { Agents } from './agents.js'
import { Counters } from './counters.js'
import { LauncherLink, readHello } from './launcher_link.js'
import { OPEN } from './lease.js'
import { Peers } from './peers.js'
import { WaitingRequests } from './waiting.js'

/** Seconds between two ticks from which the router itself was held up, however short a silence is allowed. */
const STOOD_STILL = 1

/**
 * Now, on both clocks: seconds of the monotonic one for deadlines, of the wall clock for time stamps.
 * @typedef {{now: number, wall: number}} Instant
 * @typedef {import('./agents.js').Agent} Agent
 * @typedef {import('./agents.js').Peer} Peer
 * @typedef {import('./launcher_link.js').Hello} Hello
 * @typedef {import('../wire/protocol.js').Packet} Packet
 * @typedef {import('./waiting.js').Waiting} Waiting
 * @typedef {(peer: Peer, packet: Packet, at: Instant) => void} Action
 */

/** The state of one router. `acknowledge(routerEpoch, number)` tells the outbox what the launcher has. */
export class Switchboard {
  #acknowledge
  #lastTick
  counters = new Counters()
  peers = new Peers()

  /** @type {Map<string, Action>} */
  #fromPage = new Map([
    [wire.MEPHISTO_BOUND_LIVE_UPDATE, this.#pageUpdate],
    [wire.HEARTBEAT, this.#pageHeartbeat],
    [wire.ALIVE, this.#pageAlive]
  ])

  /** @type {Map<string, Action>} */
  #fromLauncher = new Map([
    [wire.CLIENT_BOUND_LIVE_UPDATE, this.#launcherUpdate],
    [wire.UPDATE_STATUS, this.#launcherStatus],
    [wire.AGENT_DETAILS, this.#launcherAgentDetails],
    [wire.REQUEST_STATUSES, this.#launcherWantsStatuses],
    [wire.ACK, this.#launcherAck],
    [wire.LEASE, this.#launcherLease],
    [wire.DRAIN, this.#launcherDrain],
    [wire.BYE, this.#launcherBye],
    [wire.PEERS, this.#launcherPeers],
    [wire.ALIVE, this.#launcherAliveAgain],
    [wire.HEARTBEAT, () => {}]
  ])

  /**
   * @param {string} runId @param {Readonly<import('../wire/protocol.js').Limits>} limits @param {string | null} token
   * @param {import('./lease.js').Lease} lease @param {(routerEpoch: string, number: number) => void} acknowledge
   * @param {Map<string, string>} submitted by agent, what was handed in to a router before this one
   */
  constructor(runId, limits, token, lease, acknowledge, submitted) {
    this.runId = runId
    this.limits = limits
    this.lease = lease
    this.agents = new Agents(limits, submitted)
    this.link = new LauncherLink(token, limits, lease.started)
    this.waiting = new WaitingRequests(limits, this.link)
    this.#acknowledge = acknowledge
    this.#lastTick = lease.started
  }

  // What sockets say

  /**
   * A packet from a page's socket. What cannot be served is answered with an `error` packet and counted.
   * @param {Peer} peer @param {Packet} packet @param {Instant} at
   */
  pageSaid(peer, packet, at) {
    this.#serve(this.#fromPage, peer, packet, at)
  }

  /**
   * A packet from the attached launcher. Any word from it renews the lease.
   * @param {Peer} peer @param {Packet} packet @param {Instant} at
   */
  launcherSaid(peer, packet, at) {
    this.link.heard = at.now
    this.lease.renew(at.now)
    this.#serve(this.#fromLauncher, peer, packet, at)
  }

  /** A page's socket is closed. @param {Peer} peer */
  pageGone(peer) {
    this.agents.detach(peer)
  }

  /**
   * A launcher's socket is closed; one that was displaced before has nothing more to say.
   * @param {Peer} peer @param {Instant} at
   */
  launcherGone(peer, at) {
    if (this.link.peer === peer) this.link.detach(at.now)
  }

  /**
   * The first packet of a launcher. Throws HandshakeRefused or Malformed, both counted; returns what it said of itself.
   * `welcome()` is called once what the launcher says that it has is released.
   * @param {Peer} peer @param {Packet} packet @param {() => object} welcome @param {Instant} at @returns {Hello}
   */
  attachLauncher(peer, packet, welcome, at) {
    const hello = this.#readHello(packet)
    this.link.attach(peer, hello, at.now)
    this.lease.renew(at.now, hello.lease)
    for (const [routerEpoch, number] of hello.acked) this.#acknowledge(routerEpoch, number)
    if (hello.protocol) peer.send(say(wire.WELCOME, wire.LAUNCHER_SUBJECT, welcome(), at))
    this.waiting.offerAll()
    this.link.sendBacklog()
    return hello
  }

  /** @param {Packet} packet */
  #readHello(packet) {
    try {
      const hello = readHello(packet)
      this.link.check(hello)
      return hello
    } catch (error) {
      this.counters.add('launchers_refused')
      throw error
    }
  }

  // What pages ask by HTTP

  /** A page asks for an agent. Throws Refused where no worker is admitted. @param {Waiting} waiting @param {Instant} at */
  register(waiting, at) {
    if (waiting.packet !== null) this.#checkSize(waiting.packet)
    this.checkAdmission(at, waiting.session)
    this.lease.workerHeard(at.now)
    this.waiting.add(waiting)
    this.waiting.offer(waiting)
  }

  /**
   * The agent that a page names, if it may speak for it. Throws Refused.
   * @param {string | null} agentId @param {string | null} session @param {Instant} at
   */
  worker(agentId, session, at) {
    const agent = this.agents.authorise(agentId, session)
    this.lease.workerHeard(at.now)
    return agent
  }

  /**
   * A page handed in its onboarding, which the outbox carries; the next agent's details answer it.
   * @param {Agent} agent @param {Waiting} waiting
   */
  awaitOnboarding(agent, waiting) {
    this.waiting.add(waiting)
    this.agents.forget(agent)
  }

  /** It could not be kept, so that the page may hand it in again. @param {Agent} agent @param {Waiting} waiting */
  takeBackOnboarding(agent, waiting) {
    this.waiting.take(waiting.requestId)
    this.agents.restore(agent)
  }

  /**
   * A page's error log, for the launcher. The same complaint of every page load goes through once a run.
   * @param {string} agentId @param {string} data JSON @param {number | null} clientTimestamp @param {Instant} at
   */
  logError(agentId, data, clientTimestamp, at) {
    if (data.includes(pages.version_mismatch)) {
      this.counters.add('version_mismatches')
      if (this.counters.get('version_mismatches') > 1) return
    }
    this.#passOn(encode(wire.LOG_ERROR, agentId, data, { clientTimestamp, wall: at.wall }))
  }

  /**
   * Throw the Refused that a worker gets when nobody is let in. Who is in already, by the session, may come back.
   * @param {Instant} at @param {string | null} [session]
   */
  checkAdmission(at, session = null) {
    this.checkOpen()
    if (this.lease.admission(at.now) !== OPEN && (session === null || !this.agents.hasSession(session))) {
      throw new Refused(refusals.closed)
    }
    if (this.launcherIsAway(at)) throw new Refused(refusals.launcher_away)
  }

  /** Throw Refused if the launcher left for good: nobody would ever fetch what is handed in now. */
  checkOpen() {
    if (this.lease.isClosed) throw new Refused(refusals.finished)
  }

  /** Answer the launcher's `bye`: it has everything that was handed in. */
  sayFarewell() {
    if (this.link.peer) this.link.send(encode(wire.BYE, wire.LAUNCHER_SUBJECT, '{"held":0}'))
  }

  /** Whether the launcher has been gone for longer than a page's request waits for it. @param {Instant} at */
  launcherIsAway(at) {
    return this.link.awayFor(at.now) > this.limits.away_deadline
  }

  /**
   * The agent that may submit now, or null if this very submission was taken before. Throws Refused.
   * @param {string} agentId @param {string | null} session @param {string} submissionId @param {Instant} at
   */
  checkSubmission(agentId, session, submissionId, at) {
    const agent = this.worker(agentId, session, at)
    if (agent.submissionId === submissionId) return null
    this.checkOpen()
    if (agent.submissionId !== null || wire.TAKEN.has(agent.status)) {
      throw new Refused(refusals.already_taken)
    }
    return agent
  }

  // The passing of time

  /** Call this a few times a second: deadlines of requests, pages that fell silent. @param {Instant} at */
  tick(at) {
    const pause = at.now - this.#lastTick
    this.#lastTick = at.now
    if (pause > Math.max(this.limits.silence / 3, STOOD_STILL)) this.agents.excuse(pause)
    this.#expireWaiting(at)
    for (const agent of this.agents.fallSilent(at.now)) {
      this.counters.add('agents_disconnected')
      if (this.link.protocol) this.#tellStatuses([[agent.agentId, agent.status]], null, at)
    }
  }

  /** @param {Instant} at */
  #expireWaiting(at) {
    const { away_deadline, request_deadline } = this.limits
    if (this.launcherIsAway(at)) this.waiting.refuseOlder(refusals.launcher_away, at.now - away_deadline)
    this.waiting.refuseOlder(refusals.no_answer, at.now - request_deadline)
  }

  // From pages

  /** @param {Peer} peer @param {Packet} packet @param {Instant} at */
  #pageUpdate(peer, packet, at) {
    const agent = this.#speaker(peer, packet, at)
    const times = { clientTimestamp: packet.client_timestamp, wall: at.wall }
    this.#passOn(encode(packet.packet_type, agent.agentId, packet.data, times))
  }

  /** @param {Peer} peer @param {Packet} packet @param {Instant} at */
  #pageHeartbeat(peer, packet, at) {
    const agent = this.#speaker(peer, packet, at)
    const said = packet.client_timestamp ?? at.wall
    if (Math.abs(said) > bounds.timestamp) throw new Malformed(malformed.timestamp, { said })
    const lastHeard = Math.trunc((said - (at.now - this.link.heard)) * 1000)
    peer.send(say(wire.HEARTBEAT, agent.agentId, { last_mephisto_ping: lastHeard, status: agent.status }, at))
  }

  /** @param {Peer} peer @param {Packet} packet @param {Instant} at */
  #pageAlive(peer, packet, at) {
    if (packet.subject_id === null) return // a race in mephisto-task: the next heartbeat says whose page it is
    if (packet.subject_id === wire.LAUNCHER_SUBJECT) throw new Refused(refusals.not_the_launcher)
    peer.batches = readHello(packet).protocol >= 1
    const agent = this.#speaker(peer, packet, at, false)
    peer.send(statusPacket(agent, at))
  }

  /**
   * The agent that a page's packet speaks for; its socket is attached if it was not.
   * @param {Peer} peer @param {Packet} packet @param {Instant} at
   */
  #speaker(peer, packet, at, tellStatus = true) {
    const agent = this.worker(packet.subject_id, peer.session, at)
    agent.heard = at.now
    if (!agent.peers.includes(peer)) {
      if (this.agents.attach(agent, peer)) this.counters.add('sockets_displaced')
      if (tellStatus) peer.send(statusPacket(agent, at))
      for (const update of agent.backlog.splice(0)) peer.send(update.toString())
    }
    return agent
  }

  // From the launcher

  /** @param {Peer} _ @param {Packet} packet @param {Instant} at */
  #launcherUpdate(_, packet, at) {
    const agent = this.agents.get(packet.subject_id)
    if (!agent) throw new Refused(refusals.unknown_agent, { agent_id: packet.subject_id })
    const { client_timestamp: clientTimestamp, server_timestamp: serverTimestamp } = packet
    const times = { clientTimestamp, serverTimestamp, wall: at.wall }
    this.#deliver(agent, encode(packet.packet_type, agent.agentId, packet.data, times))
  }

  /** @param {Peer} _ @param {Packet} packet @param {Instant} at */
  #launcherStatus(_, packet, at) {
    const { status } = checkData(packet, { status: wire.text })
    if (!wire.STATUSES.has(status)) {
      throw new Malformed(malformed.status, { status, statuses: [...wire.STATUSES].sort().join(', ') })
    }
    const agent = this.agents.makeKnown(agentIdOf(packet.subject_id))
    this.agents.setStatus(agent, status)
    agent.heard = at.now
    for (const peer of agent.peers) peer.send(statusPacket(agent, at))
  }

  /** @param {Peer} _ @param {Packet} packet @param {Instant} at */
  #launcherAgentDetails(_, packet, at) {
    const { request_id, agent_id } = checkData(packet, { request_id: wire.text, agent_id: wire.maybe(wire.text) })
    const agentId = agent_id == null ? null : agentIdOf(agent_id)
    const waiting = this.waiting.take(request_id)
    if (agentId !== null) {
      const agent = waiting ? this.agents.giveTo(agentId, waiting.session) : this.agents.makeKnown(agentId)
      agent.heard = at.now
    }
    if (!waiting) this.counters.add('late_answers')
    else waiting.settle(encode(wire.AGENT_DETAILS, subjectOf(packet), packet.data, { serverTimestamp: at.wall }))
  }

  /** @param {Peer} _ @param {Packet} packet @param {Instant} at */
  #launcherWantsStatuses(_, packet, at) {
    this.#tellStatuses(this.agents.statuses(), packet.server_timestamp, at)
  }

  /** @param {Peer} _ @param {Packet} packet */
  #launcherAck(_, packet) {
    const { router_epoch, number } = checkData(packet, { router_epoch: wire.text, number: wire.integer })
    this.#acknowledge(router_epoch, number)
  }

  /** @param {Peer} _ @param {Packet} packet @param {Instant} at */
  #launcherLease(_, packet, at) {
    this.lease.renew(at.now, checkData(packet, { seconds: wire.leaseSeconds }).seconds)
  }

  #launcherDrain() {
    this.lease.drain()
  }

  #launcherBye() {
    this.lease.end()
    this.waiting.refuseAll(refusals.finished)
  }

  /** @param {Peer} _ @param {Packet} packet */
  #launcherPeers(_, packet) {
    const { own, ports } = checkData(packet, { own: wire.text, ports: arePorts })
    this.peers = new Peers(own, new Map(Object.entries(ports)))
  }

  /** Mephisto's launcher says `alive` twice on the first connection of its process: it knows of no request yet. */
  #launcherAliveAgain() {
    if (this.link.protocol === 0) this.waiting.offerAll(true)
  }

  // Pieces

  /** @param {Map<string, Action>} actions @param {Peer} peer @param {Packet} packet @param {Instant} at */
  #serve(actions, peer, packet, at) {
    try {
      const act = actions.get(packet.packet_type)
      if (!act) throw this.#unknown(packet)
      act.call(this, peer, packet, at)
      this.counters.add(packet.packet_type)
    } catch (error) {
      if (error instanceof Refused) this.refuse(peer, packet.subject_id, error)
      else if (error instanceof Malformed) this.refuse(peer, packet.subject_id, Refused.of(error))
      else throw error
    }
  }

  /** @param {Packet} packet */
  #unknown(packet) {
    this.counters.add('packets_unknown')
    return new Refused(refusals.unknown_packet, packet)
  }

  /**
   * Tell a socket's other end what was wrong with its packet, and count it.
   * @param {Peer} peer @param {string | null} subjectId @param {Refused} refused
   */
  refuse(peer, subjectId, refused) {
    this.counters.add(`refused_${refused.error}`)
    peer.send(encode(wire.ERROR, subjectId ?? '', JSON.stringify({ error: refused.error, message: refused.message })))
  }

  /**
   * To the launcher. Throws Refused for what it could not take: a frame over the limit costs it its connection.
   * @param {string} packet
   */
  #passOn(packet) {
    this.#checkSize(packet)
    this.link.send(packet)
  }

  /** @param {string} packet */
  #checkSize(packet) {
    if (!this.#fits(packet)) throw new Refused(refusals.packet_too_large, { limit: this.limits.frame })
  }

  /** @param {string} packet */
  #fits(packet) {
    return packet.length <= this.limits.frame / 3 || Buffer.byteLength(packet) <= this.limits.frame
  }

  /** @param {Agent} agent @param {string} packet */
  #deliver(agent, packet) {
    if (agent.peers.length) {
      for (const peer of agent.peers) peer.send(packet)
      return
    }
    if (agent.backlog.push(Buffer.from(packet)) > this.limits.page_queue) {
      agent.backlog.shift()
      this.counters.add('page_updates_dropped')
    }
  }

  /**
   * In as many packets as it takes to keep each within the limit.
   * @param {[string, string][]} statuses @param {number | null} askedAt @param {Instant} at
   */
  #tellStatuses(statuses, askedAt, at) {
    if (!this.link.peer) return
    const pairs = statuses.map(([agentId, status]) => `${JSON.stringify(agentId)}:${JSON.stringify(status)}`)
    const times = { clientTimestamp: askedAt, wall: at.wall }
    const packet = encode(wire.RETURN_STATUSES, wire.LAUNCHER_SUBJECT, `{${pairs.join(',')}}`, times)
    if (this.#fits(packet) || statuses.length === 1) return this.link.send(packet)
    const middle = statuses.length >> 1
    this.#tellStatuses(statuses.slice(0, middle), askedAt, at)
    this.#tellStatuses(statuses.slice(middle), askedAt, at)
  }
}

/** By the number of the router that listens there. @param {unknown} said */
const arePorts = said => wire.object(said) && Object.values(/** @type {object} */ (said)).every(wire.port)

/** A packet of the router's own. @param {string} type @param {string} subject @param {object} data @param {Instant} at */
function say(type, subject, data, at) {
  return encode(type, subject, JSON.stringify(data), { serverTimestamp: at.wall })
}

/** @param {Packet} packet */
function subjectOf(packet) {
  if (packet.subject_id === null) throw new Malformed(malformed.no_subject, packet)
  return packet.subject_id
}

/** @param {string | null} said */
function agentIdOf(said) {
  if (said !== null && said.length <= wire.LONGEST_ID) return said
  throw new Malformed(malformed.agent_id, { limit: wire.LONGEST_ID })
}

/** @param {Agent} agent @param {Instant} at */
function statusPacket(agent, at) {
  return say(wire.UPDATE_STATUS, agent.agentId, { status: agent.status }, at)
}
