// The one cache of answers, and which failures are worth another try.
import { QueryClient } from '@tanstack/react-query';
import { Problem } from './client';

const MAX_RETRIES = 2;

export const cache = new QueryClient({
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
