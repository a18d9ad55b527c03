/**
 * The commands that every host has, in the order in which help lists them.
 *
 * A new command is one file under commands/ and one name here; help, completion and checks follow by themselves.
 */
import type { Command } from './command.ts'
import { adviseCommand } from './commands/advise.ts'
import { waitCommand } from './commands/background.ts'
import { benchCommand } from './commands/bench.ts'
import { captureCommand } from './commands/capture.ts'
import { conformCommand } from './commands/conform.ts'
import { CONTROL_COMMANDS } from './commands/control_commands.ts'
import { exploreCommand } from './commands/explore.ts'
import { FILTERS } from './commands/filters.ts'
import { infoCommand } from './commands/info.ts'
import { kernelCalibrateCommand } from './commands/kernel_calibrate.ts'
import { kernelInfoCommand } from './commands/kernel_info.ts'
import { kernelMigrateCommand } from './commands/kernel_migrate.ts'
import { migrateCommand } from './commands/migrate.ts'
import { replayCommand } from './commands/replay.ts'
import { runCommand } from './commands/run.ts'
import { setCapabilityCommand, setParameterCommand } from './commands/settings_commands.ts'
import { clearCommand, echoCommand, helpEntry, manCommand, versionCommand } from './commands/words.ts'

export const CORE_COMMANDS: readonly Command[] = [
  migrateCommand,
  adviseCommand,
  runCommand,
  conformCommand,
  benchCommand,
  exploreCommand,
  replayCommand,
  kernelInfoCommand,
  kernelMigrateCommand,
  kernelCalibrateCommand,
  captureCommand,
  infoCommand,
  setCapabilityCommand,
  setParameterCommand,
  ...CONTROL_COMMANDS,
  helpEntry,
  manCommand,
  versionCommand,
  waitCommand,
  echoCommand,
  clearCommand,
  ...FILTERS,
]
