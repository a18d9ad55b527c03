/**
 * Reads a file of cases and refuses whatever is wrong in it, with the exact place.
 *
 * 1. The shape: every field known, of its kind, in its bounds; defaults filled in.
 * 2. The words: every call known, each argument there and of its kind, every flag, advice and feature one that exists.
 * 3. The story: an actor that was never started, a name that nothing bound, a region's page that is not there.
 * 4. The promise to a real kernel: calls, advice and descriptors that only the model has stand in model-only cases.
 *
 * Pairs with case.ts (what a case is) and vocabulary.ts (its words).
 */
import { ERRNO } from '../machine/syscall.ts'
import { isAmount, nameIn } from './amount.ts'
import type {
  Amount,
  ArgumentValue,
  CallStep,
  CaseGroup,
  ConformCase,
  Expectation,
  FieldExpectation,
  MessageExpectation,
  Region,
  Step,
  TogetherStep,
  UffdSetup,
} from './case.ts'
import { CaseError, listAt, ObjectReader, shape, stringAt, wordAt } from './fields.ts'
import {
  type ArgumentSpec,
  CALLS,
  type CallSpec,
  callSpec,
  FAULT_FLAG,
  FEATURE_BITS,
  isCall,
  REGISTER_MODE,
} from './vocabulary.ts'

/** What the steps before this one have made. */
interface Story {
  readonly isModelOnly: boolean
  readonly names: Set<string>
  readonly children: Set<string>
}

export function readGroup(value: unknown, file: string): CaseGroup {
  const o = new ObjectReader(value, file)
  const group = o.string('group')
  const title = o.string('title')
  const cases = o.list('cases', readCase)
  o.done()
  const seen = new Set<string>()
  for (const [i, { id }] of cases.entries()) {
    if (seen.has(id)) throw new CaseError(`${file}.cases[${i}].id`, `${id} is the id of an earlier case`)
    seen.add(id)
  }
  return { group, title, cases }
}

function readCase(value: unknown, place: string): ConformCase {
  const o = new ObjectReader(value, place)
  const id = o.string('id')
  if (!/^[a-z0-9]+(-[a-z0-9]+)+$/.test(id)) throw new CaseError(o.at('id'), `${id} is not of the form 30-copy-one-page`)
  const title = o.string('title')
  const source = o.list('source', stringAt)
  if (source.length === 0) throw new CaseError(o.at('source'), 'says nothing; name an assertion, a measurement or a man page')
  const only = o.has('only') ? o.word('only', ['model']) : undefined
  const needs = o.list('needs', readFeature, [])
  const kernel = readRelease(o, 'kernel')
  const until = readRelease(o, 'until')
  const rounds = o.integer('rounds', 1, 1000, 1)
  const regions = o.record('regions', readRegion)
  for (const [name, { alias }] of Object.entries(regions)) {
    if (alias !== undefined && regions[alias]?.backing !== 'memfd')
      throw new CaseError(`${o.at('regions')}.${name}.alias`, `${alias} is no region on a memfd`)
  }
  const names = new Set(Object.keys(regions))
  const uffds = o.record('uffds', (one, at, name) => {
    const setup = readUffd(one, at, names)
    names.add(name)
    return setup
  })
  const story: Story = { isModelOnly: only === 'model', names, children: new Set() }
  const steps = o.list('steps', (one, at) => readStep(one, at, story))
  if (steps.length === 0) throw new CaseError(o.at('steps'), 'is empty')
  o.done()
  const since = { ...(kernel && { kernel }), ...(until && { until }) }
  return { id, title, source, ...(only && { only }), needs, ...since, rounds, regions, uffds, steps }
}

function readRelease(o: ObjectReader, key: string): string | undefined {
  if (!o.has(key)) return undefined
  const release = o.string(key)
  if (!/^\d+\.\d+$/.test(release)) throw new CaseError(o.at(key), `${release} is no release, such as 6.8`)
  return release
}

function readFeature(value: unknown, place: string): string {
  return wordAt(value, place, Object.keys(FEATURE_BITS))
}

function readRegion(value: unknown, place: string): Region {
  const o = new ObjectReader(value, place)
  const region: Region = {
    pages: o.integer('pages', 1, 512),
    prot: o.word('prot', ['rw', 'r', 'none'], 'rw'),
    backing: o.word('backing', ['anon', 'memfd', 'memfd-readonly', 'file'], 'anon'),
    shared: o.boolean('shared', false),
    ...(o.has('fill') && { fill: o.integer('fill', 1, 255) }),
    ...(o.has('alias') && { alias: o.string('alias') }),
    ownTable: o.boolean('ownTable', false),
  }
  o.done()
  if (region.fill !== undefined && region.prot !== 'rw') throw new CaseError(o.at('fill'), 'cannot fill what may not be written')
  return region
}

function readUffd(value: unknown, place: string, names: ReadonlySet<string>): UffdSetup {
  const o = new ObjectReader(value, place)
  const setup: UffdSetup = {
    blocking: o.boolean('blocking', false),
    userModeOnly: o.boolean('userModeOnly', false),
    features: o.list('features', readFeature, []),
    register: o.list('register', (one, at) => {
      const r = new ObjectReader(one, at)
      const range = {
        at: readAmount(r.raw('at'), r.at('at'), names),
        length: readAmount(r.raw('length'), r.at('length'), names),
        mode: r.list('mode', (word, where) => wordAt(word, where, Object.keys(REGISTER_MODE))),
      }
      r.done()
      return range
    }),
  }
  o.done()
  return setup
}

function readStep(value: unknown, place: string, story: Story): Step {
  const o = new ObjectReader(value, place)
  if (!o.has('together')) return readCall(o, story)
  const together = o.list('together', (one, at) => readCall(new ObjectReader(one, at), story))
  const anyOrder = o.has('anyOrder') ? o.list('anyOrder', (one, at) => readExpectation(one, at, story)) : undefined
  o.done()
  if (anyOrder !== undefined && anyOrder.length !== together.length)
    throw new CaseError(o.at('anyOrder'), `has ${anyOrder.length} outcomes for ${together.length} calls`)
  const step: TogetherStep = { together, ...(anyOrder && { anyOrder }) }
  return step
}

function readCall(o: ObjectReader, story: Story): CallStep {
  const actor = o.string('actor')
  if (!/^t\d+$/.test(actor) && !story.children.has(actor))
    throw new CaseError(o.at('actor'), `${actor} is neither a thread (t0, t1, ...) nor the child of an earlier fork`)
  const call = o.string('call')
  if (!isCall(call)) throw new CaseError(o.at('call'), `${call} is no call; known are ${Object.keys(CALLS).join(', ')}`)
  const spec = callSpec(call)
  if (spec.only === 'model' && !story.isModelOnly)
    throw new CaseError(o.at('call'), `${call} stands in cases with "only": "model" only`)
  const args = readArguments(o.has('args') ? o.raw('args') : {}, o.at('args'), spec, story)
  const as = o.has('as') ? o.string('as') : undefined
  // What this very call binds may stand in its expectation (a message that makes a descriptor, say).
  if (as !== undefined) story.names.add(as)
  if (call === 'fork' && typeof args.child === 'string') story.children.add(args.child)
  const expect = o.has('expect') ? readExpectation(o.raw('expect'), o.at('expect'), story) : {}
  o.done()
  return { actor, call, args, ...(as && { as }), expect }
}

function readArguments(value: unknown, place: string, spec: CallSpec, story: Story): Record<string, ArgumentValue> {
  const o = new ObjectReader(value, place)
  const args: Record<string, ArgumentValue> = {}
  for (const [name, argument] of Object.entries(spec.args)) {
    if (o.has(name)) args[name] = readArgument(o.raw(name), o.at(name), argument, story)
    else if (argument.optional !== true) throw new CaseError(o.at(name), 'is missing')
    else o.raw(name)
  }
  o.done()
  return args
}

function readArgument(value: unknown, place: string, spec: ArgumentSpec, story: Story): ArgumentValue {
  switch (spec.kind) {
    case 'amount':
      return readAmount(value, place, story.names)
    case 'name':
      // A child's name is new; a descriptor's is not.
      if (!place.endsWith('.child') && !story.names.has(stringAt(value, place)))
        throw new CaseError(place, `nothing is called ${stringAt(value, place)} yet`)
      return stringAt(value, place)
    case 'flag':
      if (typeof value !== 'boolean') throw new CaseError(place, `${shape(value)} is neither true nor false`)
      return value
    case 'words':
      return listAt(value, place, (word, at) => wordAt(word, at, Object.keys(spec.words ?? {})))
    case 'word': {
      const modelWords = Object.keys(spec.modelWords ?? {})
      const word = wordAt(value, place, [...Object.keys(spec.words ?? {}), ...modelWords])
      if (modelWords.includes(word) && !story.isModelOnly)
        throw new CaseError(place, `${word} means something else on a real kernel; it stands in cases with "only": "model" only`)
      return word
    }
  }
}

function readAmount(value: unknown, place: string, names: ReadonlySet<string>): Amount {
  if (typeof value === 'number' && Number.isInteger(value)) return value
  if (typeof value !== 'string' || !isAmount(value))
    throw new CaseError(place, `${shape(value)} is no number, such as 100, 2p or A+1p+8`)
  const name = nameIn(value)
  if (name !== null && !names.has(name)) throw new CaseError(place, `nothing is called ${name} yet`)
  return value
}

function readExpectation(value: unknown, place: string, story: Story): Expectation {
  const o = new ObjectReader(value, place)
  const amount = (key: string) => readAmount(o.raw(key), o.at(key), story.names)
  const bound = (key: string) => {
    const name = o.string(key)
    if (!story.names.has(name)) throw new CaseError(o.at(key), `nothing is called ${name} yet`)
    return name
  }
  const expectation: Expectation = {
    ...(o.has('ret') && { ret: amount('ret') }),
    ...(o.has('errno') && { errno: o.word('errno', Object.keys(ERRNO)) }),
    ...(o.has('blocked') && { blocked: o.boolean('blocked', false) }),
    ...(o.has('signal') && { signal: readSignal(o.raw('signal'), o.at('signal'), story) }),
    ...(o.has('fields') && { fields: o.record('fields', (one, at) => readField(one, at, story)) }),
    ...(o.has('messages') && { messages: o.list('messages', (one, at) => readMessage(one, at, story)) }),
    ...(o.has('content') && { content: readContent(o, story) }),
    ...(o.has('sameFrames') && { sameFrames: bound('sameFrames') }),
    ...(o.has('otherFrames') && { otherFrames: bound('otherFrames') }),
    ...(o.has('anything') && { anything: o.boolean('anything', false) }),
    ...(o.has('oneOf') && { oneOf: o.list('oneOf', (one, at) => readExpectation(one, at, story)) }),
  }
  o.done()
  if (expectation.ret !== undefined && expectation.errno !== undefined) throw new CaseError(place, 'has both ret and errno')
  return expectation
}

function readContent(o: ObjectReader, story: Story): number | string {
  const value = o.raw('content')
  if (typeof value === 'number') return o.integer('content', 0, 255)
  const name = stringAt(value, o.at('content'))
  if (name !== 'mixed' && !story.names.has(name)) throw new CaseError(o.at('content'), `nothing is called ${name} yet`)
  return name
}

function readSignal(value: unknown, place: string, story: Story): { name: string; code: number; address: Amount } {
  const o = new ObjectReader(value, place)
  const signal = {
    name: o.word('name', ['SIGSEGV', 'SIGBUS']),
    code: o.integer('code', 0, 10),
    address: readAmount(o.raw('address'), o.at('address'), story.names),
  }
  o.done()
  return signal
}

function readField(value: unknown, place: string, story: Story): FieldExpectation {
  if (Array.isArray(value)) return listAt(value, place, (one, at) => (typeof one === 'number' ? one : stringAt(one, at)))
  if (typeof value === 'object' && value !== null) {
    const o = new ObjectReader(value, place)
    const mask = { has: o.list('has', stringAt, []), lacks: o.list('lacks', stringAt, []) }
    o.done()
    return mask
  }
  if (typeof value === 'string' && value.startsWith('-')) return `-${wordAt(value.slice(1), place, Object.keys(ERRNO))}`
  return readAmount(value, place, story.names)
}

function readMessage(value: unknown, place: string, story: Story): MessageExpectation {
  const o = new ObjectReader(value, place)
  const amount = (key: string) => readAmount(o.raw(key), o.at(key), story.names)
  const message: MessageExpectation = {
    event: o.word('event', ['PAGEFAULT', 'FORK', 'REMAP', 'REMOVE', 'UNMAP']),
    ...(o.has('flags') && { flags: o.list('flags', (one, at) => wordAt(one, at, Object.keys(FAULT_FLAG))) }),
    ...(o.has('address') && { address: amount('address') }),
    ...(o.has('thread') && { thread: o.string('thread') }),
    ...(o.has('from') && { from: amount('from') }),
    ...(o.has('to') && { to: amount('to') }),
    ...(o.has('length') && { length: amount('length') }),
    ...(o.has('start') && { start: amount('start') }),
    ...(o.has('end') && { end: amount('end') }),
    ...(o.has('as') && { as: o.string('as') }),
  }
  o.done()
  if (message.as !== undefined) story.names.add(message.as)
  return message
}
