// Starts the interface: theme, query cache, router.
import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import '@mantine/spotlight/styles.css';
import './global.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { createRoot } from 'react-dom/client';
import { cache } from './api/cache';
import { router } from './router';
import { cssVariables, theme } from './theme';

const rootElement = document.getElementById('root');
if (!rootElement) throw new Error('index.html has no #root');

createRoot(rootElement).render(
  <MantineProvider
    theme={theme}
    cssVariablesResolver={cssVariables}
    defaultColorScheme="auto"
    colorSchemeManager={localStorageColorSchemeManager({ key: 'mantine-color-scheme-value' })}
  >
    <QueryClientProvider client={cache}>
      <Notifications position="bottom-right" autoClose={5000} />
      <RouterProvider router={router} />
    </QueryClientProvider>
  </MantineProvider>,
);
