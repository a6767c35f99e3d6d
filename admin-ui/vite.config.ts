import react from "@vitejs/plugin-react";
import { defineConfig } from "vitest/config";

/** Where the control plane listens while the UI is developed. */
const API = process.env.PALISADE_API_URL ?? "http://127.0.0.1:8080";

/** What the control plane answers itself. The Host stays the browser's: a session's requests must come from there. */
const PATHS = Object.fromEntries(
  ["/api", "/auth"].map((path) => [path, { target: API, changeOrigin: false }]),
);

/** The policy that the control plane sends in production; the preview sends it too, so that a breach shows. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

export default defineConfig({
  plugins: [react()],
  server: { proxy: PATHS },
  preview: { proxy: PATHS, headers: { "Content-Security-Policy": CONTENT_SECURITY_POLICY } },
  // The end-to-end tests have a runner of their own: e2e/run.sh.
  test: { include: ["src/**/*.test.{ts,tsx}"] },
  build: { assetsInlineLimit: 0, chunkSizeWarningLimit: 700, manifest: true },
});
