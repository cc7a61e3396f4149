// Starts the interface: theme, query cache, router.
import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import '@mantine/spotlight/styles.css';
import './global.css';
import { localStorageColorSchemeManager, MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { RouterProvider } from '@tanstack/react-router';
import { createRoot } from 'react-dom/client';
import { Problem } from './api/client';
import { router } from './router';
import { cssVariables, theme } from './theme';

const MAX_RETRIES = 2;

const queries = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      refetchOnWindowFocus: false,
      // A refused request stays refused; only a missing answer or a busy server is worth another try.
      retry: (failures, error) => {
        const retryable = !(error instanceof Problem) || error.status >= 502 || error.status === 429;
        return retryable && failures < MAX_RETRIES;
      },
    },
  },
});

const rootElement = document.getElementById('root');
if (!rootElement) throw new Error('index.html has no #root');

createRoot(rootElement).render(
  <MantineProvider
    theme={theme}
    cssVariablesResolver={cssVariables}
    defaultColorScheme="auto"
    colorSchemeManager={localStorageColorSchemeManager({ key: 'mantine-color-scheme-value' })}
  >
    <QueryClientProvider client={queries}>
      <Notifications position="bottom-right" autoClose={5000} />
      <RouterProvider router={router} />
    </QueryClientProvider>
  </MantineProvider>,
);
