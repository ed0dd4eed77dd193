/* Durable packets on their way to one attached launcher: in order, with a window, until acknowledged. No I/O of its own. */

/** Sends what the outbox holds to `peer`, at most `window` bytes ahead of the acknowledgements. */
export class Delivery {
  #outbox
  #peer
  #window
  #acknowledges
  #sent = 0
  /** @type {{number: number, length: number}[]} */
  #inFlight = []
  #inFlightBytes = 0

  /**
   * A launcher that does not know acknowledgements has a packet once it is sent to it.
   * @param {import('./outbox.js').Outbox} outbox @param {import('../board/agents.js').Peer} peer @param {number} window
   * @param {boolean} acknowledges
   */
  constructor(outbox, peer, window, acknowledges) {
    this.#outbox = outbox
    this.#peer = peer
    this.#window = window
    this.#acknowledges = acknowledges
  }

  /** Send what fits. Call it when something new is held, and after each acknowledgement. */
  pump() {
    for (const held of this.#outbox.after(this.#sent)) {
      const { number, length } = held
      if (this.#inFlight.length && this.#inFlightBytes + length > this.#window) return
      this.#peer.send(this.#outbox.read(held))
      this.#sent = number
      if (this.#acknowledges) {
        this.#inFlight.push({ number, length })
        this.#inFlightBytes += length
      }
    }
    if (!this.#acknowledges) this.#outbox.acknowledge(this.#outbox.routerEpoch, this.#sent)
  }

  /** The launcher has everything up to `number`; make room. @param {number} number */
  acknowledged(number) {
    while (this.#inFlight.length && this.#inFlight[0].number <= number) {
      this.#inFlightBytes -= /** @type {{length: number}} */ (this.#inFlight.shift()).length
    }
    this.pump()
  }
}
