/* What a router is started with. */

/**
 * `token` null makes it open to any launcher. Times in seconds.
 * @typedef {Omit<import('../wire/router_args.js').RouterArgs, 'limits' | 'port'> & {
 *   token: string | null, port: number, limits: Readonly<import('../wire/protocol.js').Limits>
 * }} Settings
 */

export {}
