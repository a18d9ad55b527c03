/**
 * Tells a screen how the search of a litmus test stands: that it began, how far it is, and its answer with the story.
 *
 * One litmus test at a time is told of, because a screen shows one: of a search through the whole museum, the one under way
 * and the last one answered. Pairs with RunObserver.onRace.
 */
import type { SearchProgress } from '../../explore/verdict.ts'
import type { ExploreAnswer } from '../../litmus/explore.ts'
import type { Story } from '../../litmus/story.ts'
import type { CommandContext } from '../command.ts'
import type { RaceNews } from '../shell_state.ts'
import { verdictSentence } from './explore_text.ts'

const NOTHING_YET: SearchProgress = { schedules: 0, traces: 0, depth: 0, frontier: 0 }

type Asked = Pick<RaceNews, 'litmus' | 'without'>

export class RaceReporter {
  readonly #context: CommandContext
  #asked: Asked | null = null
  #id = 0

  constructor(context: CommandContext) {
    this.#context = context
  }

  progress({ litmus, without }: Asked, progress: SearchProgress | null): void {
    this.#begin({ litmus, without })
    this.#tell({ verdict: null, sentence: 'searching', progress: progress ?? NOTHING_YET, story: null })
  }

  answer(answer: ExploreAnswer, story: () => Story | null): void {
    if (this.#context.observer.onRace === undefined) return
    this.#begin({ litmus: answer.litmus, without: answer.protections })
    const { verdict, schedules, traces, depth } = answer
    const sentence = verdictSentence(answer)
    this.#tell({ verdict, sentence, progress: { schedules, traces, depth, frontier: 0 }, story: story() })
  }

  replayed(story: Story): void {
    this.#begin({ litmus: story.litmus, without: story.protections })
    const sentence = story.violation === null ? `replayed: ${story.outcome ?? 'cut short'}` : story.violation.message
    const progress = { schedules: 1, traces: 1, depth: story.steps.length, frontier: 0 }
    this.#tell({ verdict: story.violation === null ? 'bounded' : 'violation', sentence, progress, story })
  }

  #begin(asked: Asked): void {
    const isSame = this.#asked?.litmus === asked.litmus && this.#asked.without.join() === asked.without.join()
    this.#asked = asked
    if (!isSame) this.#id = ++this.#context.state.searches
  }

  #tell(news: Omit<RaceNews, 'id' | 'litmus' | 'without'>): void {
    if (this.#asked !== null) this.#context.observer.onRace?.({ id: this.#id, ...this.#asked, ...news })
  }
}
