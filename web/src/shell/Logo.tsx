// The mark: a hound's head in profile, drawn with the bars of a trace; its nose is at the end of the longest one.

export function Logo({ size = 24 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="#0b5563" />
      <g transform="translate(-4.2 -2.6) scale(1.22)">
        <path d="M11 9.5h8M11 15.5h13M13 21.5h8" stroke="#d6f1f5" strokeWidth="3.4" strokeLinecap="round" />
        <circle cx="26" cy="15.5" r="2.1" fill="#f2a33a" />
        <path
          d="M10.5 8.2c-3.2 1.6-4.6 6-4.3 10.6.1 1.7 2.2 2 3 .5 1.500-2.800 2.300-6.300 1.300-11.100z"
          fill="#f2a33a"
        />
      </g>
    </svg>
  );
}
