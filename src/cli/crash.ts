// What a process that serves says when it fails in a way that nobody foresaw, just before it ends. Rule: never the
// error's message, which may name an address or a host; the place in the code is enough to find the defect.

const MOST_FRAMES = 20

/** One log line. */
export function crashLine(thrown: unknown, time: Date): string {
  const isError = thrown instanceof Error
  const code = isError && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : undefined
  const line = {
    level: 'fatal',
    time: time.toISOString(),
    name: isError ? thrown.name : typeof thrown,
    // An errno or a code of Node's own; of anything else it is not known what it holds.
    ...(code !== undefined && /^[A-Z][A-Z0-9_]*$/.test(code) && { code }),
    at: isError ? framesOf(thrown) : [],
    msg: 'crashed; this is a defect of sightline, please report this line',
  }
  return `${JSON.stringify(line)}\n`
}

/** Function, file and place of each frame; the message that stands before them may have lines of its own. */
function framesOf({ stack = '', message }: Error): string[] {
  const at = stack.indexOf(message)
  const frames = at < 0 ? stack : stack.slice(at + message.length)
  return frames
    .split('\n')
    .filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line))
    .slice(0, MOST_FRAMES)
    .map((line) => line.trim())
}
