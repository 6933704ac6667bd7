import { svelte } from "@sveltejs/vite-plugin-svelte";
import { defineConfig } from "vite";

// The server owns the pages; `npm run dev` asks it for everything that is not the console itself.
const server = "http://127.0.0.1:8000";

export default defineConfig({
  base: "/static/console/",
  plugins: [svelte()],
  build: {
    outDir: "../web/static/console",
    emptyOutDir: true,
    assetsInlineLimit: 0,
    chunkSizeWarningLimit: 2000,
    modulePreload: { polyfill: false },
    target: "es2022",
  },
  server: { proxy: { "/api": server, "/stream": server, "/cap": server } },
});
