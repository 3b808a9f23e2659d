// Builds the console's page from src/lab/console/page to a folder: `node .ci/build-page.mjs [FOLDER]`, dist/console
// where none is named. Rules: nothing of it comes from outside, and no script or style stands in the HTML itself.
import { build } from 'vite'
import path from 'node:path'

await build({
  root: 'src/lab/console/page',
  configFile: false,
  logLevel: 'warn',
  base: '/',
  publicDir: false,
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    outDir: path.resolve(process.argv[2] ?? 'dist/console'),
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: false,
    assetsInlineLimit: 0,
    cssCodeSplit: false,
    rolldownOptions: { checks: { pluginTimings: false } },
  },
})
