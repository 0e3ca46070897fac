import "./styles/tokens.css";
import "./styles/base.css";
import "./styles/shell.css";
import "./styles/parts.css";
import "./styles/views.css";
import "./theme";
import { render } from "preact";
import { App } from "./app";
import { start } from "./state";

start();
render(<App />, document.getElementById("page") as HTMLElement);
