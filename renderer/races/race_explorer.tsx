/**
 * The race explorer: one line at the foot of the window until it is opened, then the list of litmus tests, the chosen one with
 * its protections, and the story of what the search found, side by side.
 */
import { useEffect } from 'react'
import { useControls } from '../hooks.tsx'
import { tooltip } from '../keys.ts'
import { Panel } from '../panels/panel.tsx'
import { RaceCase } from './race_case.tsx'
import { RaceList } from './race_list.tsx'
import { useRaces } from './race_state.ts'
import { StoryView } from './story_view.tsx'

export function RaceExplorer() {
  const { player } = useControls()
  const open = useRaces((state) => state.open)
  // Nobody watches the migration meanwhile.
  useEffect(() => {
    if (open) player.pause()
  }, [open, player])
  return (
    <Panel name="Race explorer" className={open ? 'races open' : 'races'} facts={<Facts />} action={<Switch open={open} />}>
      {open && (
        <div className="races-columns">
          <RaceList />
          <RaceCase />
          <StoryView />
        </div>
      )}
    </Panel>
  )
}

function Switch({ open }: { open: boolean }) {
  const { bindings } = useControls()
  return (
    <button
      type="button"
      className="small races-switch"
      aria-expanded={open}
      title={tooltip(bindings, 'races')}
      onClick={() => useRaces.setState({ open: !open })}
    >
      {open ? 'Back to the migration' : 'Open'}
    </button>
  )
}

function Facts() {
  const tests = useRaces((state) => state.museum.length)
  const open = useRaces((state) => state.open)
  const view = useRaces((state) => state.view)
  if (open && view !== null) return view.sentence
  return `${tests} litmus tests of the code that migrates: leave a protection out, and see what breaks`
}
