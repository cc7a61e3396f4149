// Mantine's theme: petrol accent, cool neutrals, dense sizes, system fonts.
import {
  ActionIcon,
  Button,
  type CSSVariablesResolver,
  createTheme,
  type MantineColorsTuple,
  Modal,
  NumberInput,
  Popover,
  Select,
  Textarea,
  TextInput,
  Tooltip,
} from '@mantine/core';

const petrol: MantineColorsTuple = [
  '#e8f6f8',
  '#cfe9ee',
  '#a3d5de',
  '#6fbdca',
  '#3fa5b6',
  '#1f8ea1',
  '#13798b',
  '#0d6575',
  '#0b5563',
  '#083f4a',
];

const slate: MantineColorsTuple = [
  '#d8dee6',
  '#b9c2ce',
  '#98a3b1',
  '#7a8593',
  '#3a434f',
  '#2c343f',
  '#1f262e',
  '#161b21',
  '#10141a',
  '#0b0e12',
];

const gray: MantineColorsTuple = [
  '#f7f9fa',
  '#eff2f4',
  '#e4e8ec',
  '#d5dbe1',
  '#c0c8d1',
  '#98a2ae',
  '#677380',
  '#4d5863',
  '#333c46',
  '#1c232b',
];

const mono =
  'ui-monospace, "SF Mono", "Cascadia Code", "JetBrains Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace';

export const theme = createTheme({
  primaryColor: 'petrol',
  primaryShade: { light: 7, dark: 6 },
  autoContrast: true,
  luminanceThreshold: 0.32,
  colors: { petrol, dark: slate, gray },
  black: '#1a2129',
  fontFamily:
    'system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", "Helvetica Neue", Arial, sans-serif',
  fontFamilyMonospace: mono,
  fontSizes: { xs: '12px', sm: '13px', md: '14px', lg: '16px', xl: '20px' },
  radius: { xs: '3px', sm: '5px', md: '7px', lg: '10px', xl: '16px' },
  defaultRadius: 'sm',
  cursorType: 'pointer',
  respectReducedMotion: true,
  headings: {
    fontWeight: '620',
    sizes: {
      h1: { fontSize: '19px', lineHeight: '1.3' },
      h2: { fontSize: '15px', lineHeight: '1.35' },
      h3: { fontSize: '13px', lineHeight: '1.4' },
    },
  },
  components: {
    ActionIcon: ActionIcon.extend({ defaultProps: { variant: 'subtle', color: 'gray', size: 'md' } }),
    Button: Button.extend({ defaultProps: { size: 'xs' } }),
    TextInput: TextInput.extend({ defaultProps: { size: 'xs' } }),
    Textarea: Textarea.extend({ defaultProps: { size: 'xs' } }),
    NumberInput: NumberInput.extend({ defaultProps: { size: 'xs' } }),
    Select: Select.extend({
      defaultProps: { size: 'xs', comboboxProps: { shadow: 'md', transitionProps: { duration: 0 } } },
    }),
    Tooltip: Tooltip.extend({ defaultProps: { openDelay: 350, transitionProps: { duration: 80 } } }),
    Popover: Popover.extend({ defaultProps: { shadow: 'md', transitionProps: { duration: 80 } } }),
    Modal: Modal.extend({
      defaultProps: {
        transitionProps: { duration: 100 },
        centered: true,
        closeButtonProps: { 'aria-label': 'Close' },
      },
    }),
  },
});

export const cssVariables: CSSVariablesResolver = () => ({
  variables: {},
  light: {
    '--mantine-color-body': '#ffffff',
    '--mantine-color-text': '#1a2129',
    '--mantine-color-dimmed': '#5a6672',
    '--mantine-color-placeholder': '#6b7783',
    '--mantine-color-default-border': '#d5dbe1',
    '--mantine-color-error': '#b42318',
  },
  dark: {
    '--mantine-color-body': '#161b21',
    '--mantine-color-text': '#d8dee6',
    '--mantine-color-dimmed': '#98a3b1',
    '--mantine-color-placeholder': '#8a95a3',
    '--mantine-color-default-border': '#343d48',
    '--mantine-color-error': '#ff8f84',
  },
});
