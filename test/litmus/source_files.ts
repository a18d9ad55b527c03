/**
 * A SourceFinder for tests: the test runner shows the lines of the files themselves.
 */
import { fileURLToPath } from 'node:url'
import { sourceFinder } from '../../main/cli/source_finder.ts'

export const findSource = sourceFinder(fileURLToPath(new URL('../..', import.meta.url)))
