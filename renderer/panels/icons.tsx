/**
 * The few signs on buttons, drawn here so that nothing is loaded and all have one weight.
 * All on a grid of 16, filled with the current colour; the button that holds one carries the name.
 */
const PATHS = {
  play: 'M4.5 2.8v10.4L13 8z',
  pause: 'M4 3h3v10H4zM9 3h3v10H9z',
  forward: 'M3 3v10l6.5-5zM10.5 3h2v10h-2z',
  back: 'M13 3v10L6.500 8zM3.500 3h2v10h-2z',
  nextFault: 'M2 3v10l5-5zM8.500 3.500h6v9h-6zM10 5v6h3V5z',
  previousFault: 'M14 3v10L9 8zM1.500 3.500h6v9h-6zM3 5v6h3V5z',
  dark: 'M13 9.700A5.600 5.600 0 0 1 6.300 3a5.600 5.600 0 1 0 6.700 6.700z',
  light:
    'M8 5a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM7.400 1h1.200v2.500H7.400zM7.400 12.500h1.200V15H7.400zM1 7.400h2.500v1.200H1zM12.500 7.400H15v1.200h-2.500zM2.600 3.500l.9-.9 1.700 1.700-.9.9zM10.800 11.700l.9-.9 1.700 1.700-.9.9zM3.500 13.400l-.9-.9 1.700-1.700.9.9zM11.700 5.200l-.9-.9 1.700-1.700.9.9z',
  system: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zm0 1.400v9.200a4.600 4.600 0 0 1 0-9.200z',
} as const

export function Icon({ name }: { name: keyof typeof PATHS }) {
  return (
    <svg className="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
      <path d={PATHS[name]} fill="currentColor" fillRule="evenodd" />
    </svg>
  )
}
