// How many descriptors the process has open, as prom-client has it, at a cost that does not hold up the event loop: it
// lists /proc/self/fd in one go, which takes longer than all else of a scrape once thousands are open. Linux only.
import { existsSync } from 'node:fs'
import { readdir, stat } from 'node:fs/promises'
import { Gauge, type Registry } from 'prom-client'

const DIRECTORY = '/proc/self/fd'

/** Takes the place of `process_open_fds` in `registry`. */
export function countDescriptors(registry: Registry): void {
  if (!existsSync(DIRECTORY)) return
  registry.removeSingleMetric('process_open_fds')
  const gauge: Gauge = new Gauge({
    name: 'process_open_fds',
    help: 'Number of open file descriptors.',
    registers: [registry],
    collect: async () => gauge.set(await openDescriptors()),
  })
}

async function openDescriptors(): Promise<number> {
  try {
    // Since Linux 6.2 the directory's size is the count (proc_pid_fd(5)); before it was 0.
    const { size } = await stat(DIRECTORY)
    return size > 0 ? size : (await readdir(DIRECTORY)).length
  } catch {
    // None is left to look with.
    return Number.NaN
  }
}
