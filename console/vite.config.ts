/** Build of the console: one module script, pages and charts in chunks of their own, nothing inline. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import react from "@vitejs/plugin-react";
import { defineConfig, type Plugin } from "vite";

const here = dirname(fileURLToPath(import.meta.url));
const bundle = join(here, "../mytrading/daemons/console/bundle");
const backend = process.env.CONSOLE_URL ?? "http://127.0.0.1:8700";

const proxy = { "/api": { target: backend, changeOrigin: true, ws: true, headers: { origin: backend } } };

/** As the server sends it: `vite preview` shows at once what it would refuse. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; connect-src 'self'; manifest-src 'self'; " +
  "form-action 'self'; frame-ancestors 'none'; base-uri 'none'; require-trusted-types-for 'script'";

/** Digest of all sources and the lock file: a page knows by it that the server has another version. */
function buildOf(): string {
  const digest = createHash("sha256");
  const names = readdirSync(here, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(here, join(entry.parentPath, entry.name)))
    .filter((name) => !name.startsWith("node_modules"))
    .sort();
  for (const name of names) digest.update(name).update(readFileSync(join(here, name)));
  return digest.digest("hex").slice(0, 16);
}

const buildFile = (build: string): Plugin => ({
  name: "build-file",
  apply: "build",
  closeBundle: () => writeFileSync(join(bundle, "build.json"), `${JSON.stringify({ build })}\n`),
});

export default defineConfig(({ command }) => {
  const build = command === "build" ? buildOf() : "dev";
  return {
    plugins: [react(), buildFile(build)],
    define: { __BUILD__: JSON.stringify(build) },
    build: {
      outDir: bundle,
      emptyOutDir: true,
      target: "es2023",
      assetsInlineLimit: 0,
      // one sheet, loaded with the page: one that a chart loads later may be what fails
      cssCodeSplit: false,
      modulePreload: { polyfill: false },
    },
    server: { proxy },
    preview: { proxy, headers: { "Content-Security-Policy": POLICY } },
  };
});
