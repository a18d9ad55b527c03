/**
 * Does a case apply to a kernel? What differs between kernels stands in the cases: `kernel`, `until`, `needs`.
 *
 * The answer is a reason to skip it, in words, or null. The model is one kernel of them: of MODEL_RELEASE, with all features.
 */
import { type CallStep, type ConformCase, isTogether } from './case.ts'
import { callSpec, MADV_2014 } from './vocabulary.ts'

/** The release whose behaviour core/mm models. */
export const MODEL_RELEASE = '6.18'

export interface KernelTraits {
  /** `6.18.44`. */
  readonly release: string
  /** Of its userfaultfd. */
  readonly features: readonly string[]
  /** It tells which frame a page lies in. */
  readonly tellsFrames: boolean
}

export function whyNotOnKernel(one: ConformCase, { release, features, tellsFrames }: KernelTraits): string | null {
  if (one.only === 'model') return whyModelOnly(one)
  const missing = one.needs.filter((feature) => !features.includes(feature))
  if (missing.length > 0) return `this kernel's userfaultfd has no ${missing.join(', ')}`
  if (!tellsFrames && callsOf(one).some(asksForFrames)) return 'the numbers of frames are hidden without CAP_SYS_ADMIN'
  return whyNotIn(one, release)
}

/** What it asks for that no kernel offers. */
function whyModelOnly(one: ConformCase): string {
  const calls = callsOf(one)
  const unknown = calls.find(({ call }) => callSpec(call).only === 'model')
  if (unknown !== undefined) return `for the model only: no kernel offers ${unknown.call}`
  const advice = calls.find(({ args }) => typeof args.advice === 'string' && Object.hasOwn(MADV_2014, args.advice))?.args.advice
  if (advice !== undefined)
    return `for the model only: the number of MADV_${advice} of 2014 means something else to today's kernels`
  return 'for the model only, as it says itself'
}

export function whyNotOnModel(one: ConformCase): string | null {
  return whyNotIn(one, MODEL_RELEASE)
}

function whyNotIn({ kernel, until }: ConformCase, release: string): string | null {
  if (kernel !== undefined && isBefore(release, kernel)) return `so since ${kernel}, and this is ${release}`
  if (until !== undefined && !isBefore(release, until)) return `so until ${until}, and this is ${release}`
  return null
}

/** By its first two numbers. */
function isBefore(release: string, other: string): boolean {
  const [major = 0, minor = 0] = release.split('.').map((part) => Number.parseInt(part, 10))
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map((part) => Number.parseInt(part, 10))
  return major < otherMajor || (major === otherMajor && minor < otherMinor)
}

function callsOf({ steps }: ConformCase): readonly CallStep[] {
  return steps.flatMap((step) => (isTogether(step) ? step.together : [step]))
}

function asksForFrames({ call, as, expect }: CallStep): boolean {
  return (call === 'pagemap' && as !== undefined) || expect.sameFrames !== undefined || expect.otherFrames !== undefined
}
