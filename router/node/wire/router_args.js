/* All that a router can be told, as router/wire/router_args.py says it. `python docs/regenerate.py` writes this file. */

/**
 * What the flags come to, before the token is read and the limits are.
 * @typedef {{
 *   static: string,
 *   data: string,
 *   host: string,
 *   port?: number,
 *   tokenFile?: string,
 *   open: boolean,
 *   restart: boolean,
 *   runId: string,
 *   lease: number,
 *   grace: number,
 *   idleTimeout?: number,
 *   maxLifetime?: number,
 *   frameAncestors: string[],
 *   contentSecurityPolicy?: string,
 *   limits: ([string, string])[],
 *   outbox: string
 * }} RouterArgs
 */

/**
 * One flag: `name` without its dashes, `field` as in RouterArgs, `kind` as in Python's table.
 * @typedef {{
 *   name: string, field: string, kind: string, help: string, metavar: string | null, default: unknown, choices: string[],
 *   isRepeatable: boolean, isRequired: boolean, fallsBackOn: string | null
 * }} Flag
 */

/** @type {readonly Flag[]} */
export const FLAGS = [
  {"name": "static", "field": "static", "kind": "path", "help": "what browsers get; holds index.html", "metavar": "DIR", "default": null, "choices": [], "isRepeatable": false, "isRequired": true, "fallsBackOn": null},
  {"name": "data", "field": "data", "kind": "path", "help": "outbox and uploads", "metavar": "DIR", "default": null, "choices": [], "isRepeatable": false, "isRequired": true, "fallsBackOn": null},
  {"name": "host", "field": "host", "kind": "text", "help": "where to listen", "metavar": "HOST", "default": "127.0.0.1", "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "port", "field": "port", "kind": "port", "help": "0: any free one (default: $PORT, else 0)", "metavar": "PORT", "default": null, "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": "PORT"},
  {"name": "token-file", "field": "tokenFile", "kind": "path", "help": "holds the launcher's token (else FALSEWORK_TOKEN)", "metavar": "F", "default": null, "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "open", "field": "open", "kind": "switch", "help": "take any launcher; on the loopback only", "metavar": null, "default": false, "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "restart", "field": "restart", "kind": "switch", "help": "start again by itself after dying of a signal or an error", "metavar": null, "default": false, "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "run-id", "field": "runId", "kind": "text", "help": "what `/is_alive` answers with", "metavar": "ID", "default": "standalone", "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "lease", "field": "lease", "kind": "duration", "help": "how long to go on unheard, such as 15m", "metavar": "D", "default": 900.0, "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "grace", "field": "grace", "kind": "duration", "help": "how long to keep what nobody collected, such as 24h", "metavar": "D", "default": 86400.0, "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "idle-timeout", "field": "idleTimeout", "kind": "duration", "help": "how long to go on without a word from any worker", "metavar": "D", "default": null, "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "max-lifetime", "field": "maxLifetime", "kind": "duration", "help": "how old to get, restarts on the same data included", "metavar": "D", "default": null, "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "frame-ancestors", "field": "frameAncestors", "kind": "origin", "help": "a site that may show the task in a frame; repeatable (default: none may)", "metavar": "ORIGIN", "default": [], "choices": [], "isRepeatable": true, "isRequired": false, "fallsBackOn": null},
  {"name": "csp", "field": "contentSecurityPolicy", "kind": "policy", "help": "a Content-Security-Policy in place of the strict one", "metavar": "POLICY", "default": null, "choices": [], "isRepeatable": false, "isRequired": false, "fallsBackOn": null},
  {"name": "limit", "field": "limits", "kind": "limits", "help": "what it takes and how long it waits; repeatable", "metavar": "NAME=VALUE", "default": [], "choices": [], "isRepeatable": true, "isRequired": false, "fallsBackOn": null},
  {"name": "outbox", "field": "outbox", "kind": "choice", "help": "who keeps what was handed in until the launcher has it", "metavar": null, "default": "disk", "choices": ["disk", "launcher"], "isRepeatable": false, "isRequired": false, "fallsBackOn": null}
]
