/**
 * Runs that are worth watching, each a command line: the opening one, and those behind the buttons over the terminal.
 * A click types the command, so that it can be read, changed and said again.
 */
export interface Example {
  readonly name: string
  readonly question: string
  readonly command: string
}

/**
 * Small enough that each page's cell carries its second cue, slow enough that there is something to watch: a moment of pre-copy, the
 * switch, and a post-copy whose requests have a channel of their own.
 */
export const OPENING = 'migrate --mode hybrid --guest kv --mem 32M --vcpus 4 --bandwidth 1Gbps --capability postcopy-preempt=on'

export const EXAMPLES: readonly Example[] = [
  {
    name: 'post-copy',
    question: 'The guest switches at once, and a request waits behind what is under way: how long does a fault take?',
    command: 'migrate --guest kv --mem 32M --vcpus 4 --bandwidth 1Gbps',
  },
  {
    name: 'never ends',
    question: 'A guest that writes faster than the link carries: will pre-copy ever end?',
    command: 'migrate --mode precopy --guest sweep:rate=500MB/s --mem 64M --bandwidth 1Gbps --time-limit 5s',
  },
  {
    name: 'auto-converge',
    question: 'The same guest, slowed down by and by: when does the rest fit the downtime limit?',
    command: 'migrate --mode precopy --guest sweep:rate=500MB/s --mem 64M --bandwidth 1Gbps --capability auto-converge=on',
  },
  {
    name: 'link down',
    question: 'The link breaks in post-copy, and comes back: is a page lost?',
    command: 'migrate --guest kv --mem 32M --vcpus 4 --bandwidth 1Gbps --inject link-down@postcopy+40ms:30ms --recover',
  },
]
