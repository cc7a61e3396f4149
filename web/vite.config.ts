// How the web interface is built, served during development and unit-tested.
import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

// The API the dev server talks to: the mock by default, a real server with TRACEHOUND_URL.
const apiUrl = process.env.TRACEHOUND_URL ?? 'http://127.0.0.1:8090';

export default defineConfig({
  plugins: [react()],
  server: {
    port: 5173,
    proxy: { '/api': { target: apiUrl, changeOrigin: false } },
  },
  build: {
    target: 'es2022',
    manifest: true,
    // A data: URI would need `font-src data:` in the content security policy.
    assetsInlineLimit: 0,
    // The preload polyfill is inline code in old browsers only; every target here has it.
    modulePreload: { polyfill: false },
  },
  test: {
    environment: 'happy-dom',
    include: ['src/**/*.test.{ts,tsx}'],
  },
});
