/**
 * The list of commands: look one up, list those of a place, suggest one for a typing slip.
 *
 * A host adds its own: `new Registry([...coreCommands, ...hostCommands])`.
 */
import type { Command, Place } from './command.ts'
import { shown } from './layout.ts'
import { didYouMean } from './suggestion.ts'

export class Registry {
  private readonly byName = new Map<string, Command>()

  constructor(readonly commands: readonly Command[]) {
    for (const command of commands) {
      if (this.byName.has(command.name)) throw new Error(`two commands are called ${command.name}`)
      this.byName.set(command.name, command)
    }
  }

  /** Null where there is none, or none that makes sense in that place. */
  find(name: string, place: Place): Command | null {
    const command = this.byName.get(name)
    return command !== undefined && (command.place ?? place) === place ? command : null
  }

  /**
   * The command that a line's first words name, and how many they are: `kernel info` is one of two words. Null where there is none.
   */
  match(words: readonly string[], place: Place): { readonly command: Command; readonly length: number } | null {
    for (const length of [2, 1]) {
      const command = words.length < length ? null : this.find(words.slice(0, length).join(' '), place)
      if (command !== null) return { command, length }
    }
    return null
  }

  /** Commands of two words that begin with this one. */
  family(first: string, place: Place): readonly Command[] {
    return this.list(place).filter(({ name }) => name.startsWith(`${first} `))
  }

  list(place: Place): readonly Command[] {
    return this.commands.filter((command) => (command.place ?? place) === place)
  }

  /** One sentence for a name that is none; a command of the other place is named as such. */
  unknown(name: string, place: Place, program: string): string {
    const [first = ''] = name.split(' ')
    const seconds = this.family(first, place).map((command) => command.name.slice(first.length + 1))
    if (seconds.length > 0) {
      const second = name.slice(first.length + 1)
      const ask = `${first} is followed by one of ${seconds.join(', ')}; ${program}help ${first} ${seconds[0]} says more`
      return second === '' || second.startsWith('-') ? ask : `${ask}${didYouMean(second, seconds)}`
    }
    const elsewhere = this.byName.get(name)
    if (elsewhere !== undefined) {
      return place === 'program'
        ? `${name} works inside a terminal only; start one with ${program}shell`
        : `${name} is a program of its own: pageferry ${name}`
    }
    const suggestion = didYouMean(
      name,
      this.list(place).map((command) => command.name),
    )
    return `no command is called ${shown(name)}${suggestion || `; ${program}help lists them all`}`
  }
}
