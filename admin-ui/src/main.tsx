import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { createBrowserRouter } from "react-router";
import { newQueryClient } from "./api/queries";
import { App } from "./app";
import { startColorMode } from "./lib/color-mode";
import { routes } from "./routes";

startColorMode();
const root = document.getElementById("root");
if (!root) throw new Error("index.html has no #root");
createRoot(root).render(
  <StrictMode>
    <App router={createBrowserRouter(routes)} client={newQueryClient()} />
  </StrictMode>,
);
