// Node takes a .js file without a package.json for CommonJS until it has looked; browsers are told by the page.
import { register } from 'node:module'

register(
  'data:text/javascript,' +
    encodeURIComponent(`
      export async function load(url, context, next) {
        return next(url, /\\/router\\/client\\/.*\\.js$/.test(url) ? { ...context, format: 'module' } : context)
      }`),
)
