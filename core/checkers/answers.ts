/**
 * I-ERR: the errno or signal that user code gets is one that a serial execution could give.
 *
 * Which those are, whoever tells the ledger knows: a litmus test from its calls run one after the other, in each order.
 */
import type { Invariant, State } from './invariant.ts'

export const ANSWERS: Invariant = {
  id: 'I-ERR',
  claim: 'an errno or signal is one that a serial execution could give',
  inFlight: answersAreSerial,
  atRest: answersAreSerial,
}

function answersAreSerial({ ledger }: State): string | null {
  const odd = ledger?.oddAnswer ?? null
  return odd === null ? null : `${odd.who} got ${odd.answer}, a serial execution gives ${odd.allowed}`
}
