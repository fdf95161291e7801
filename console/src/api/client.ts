/** REST calls of the page: CSRF header, errors as `ApiFailure`, login and "confirm it is you" where the server asks. */
import type { ApiError, SessionInfo } from "../generated/api";
import { currentSession, expireSession, setSession } from "./session";

export class ApiFailure extends Error {
  constructor(
    readonly status: number,
    readonly body: ApiError,
  ) {
    super(body.error);
  }

  get code(): string {
    return this.body.code;
  }
}

/** New request id: all tries of one request carry the same id, and at most one of them is executed. */
export function requestId(): string {
  if (typeof crypto.randomUUID === "function") return crypto.randomUUID();
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** The console itself gives up what takes longer than 30 s, and says so: its answer comes before this. */
const LONGEST_MS = 45_000;

let confirmIdentity: (() => Promise<boolean>) | null = null;

/** The shell says here how a person is asked for the password again. */
export function onConfirmNeeded(ask: () => Promise<boolean>): void {
  confirmIdentity = ask;
}

async function call<Answer>(method: "GET" | "POST", path: string, body?: unknown, again = false): Promise<Answer> {
  const who = currentSession()?.user?.name;
  let response: Response;
  try {
    response = await fetch(path, {
      method,
      credentials: "same-origin",
      cache: "no-store",
      signal: AbortSignal.timeout(LONGEST_MS),
      headers:
        method === "POST"
          ? { "Content-Type": "application/json", "X-CSRF-Token": currentSession()?.csrf ?? "" }
          : {},
      ...(method === "POST" ? { body: JSON.stringify(body ?? {}) } : {}),
    });
  } catch {
    throw new ApiFailure(0, {
      code: "NO_ANSWER",
      error: method === "GET" ? "The console did not answer. Try again." : "The console did not answer. Whether the request arrived is not known; trying again repeats the same request, which is executed at most once.",
      field: "",
      retry_after_s: 0,
    });
  }
  if (response.ok) {
    return (response.status === 204 ? undefined : await response.json()) as Answer;
  }
  const failure = new ApiFailure(response.status, await errorOf(response));
  if (failure.code === "LOGIN_NEEDED") expireSession();
  if (failure.code === "CSRF" && !again) {
    await loadSession(); // another tab of this browser logged in anew
    if (currentSession()?.user?.name === who) return call<Answer>(method, path, body, true);
  }
  if (failure.code === "CONFIRM_NEEDED" && !again && confirmIdentity && (await confirmIdentity())) {
    return call<Answer>(method, path, body, true);
  }
  throw failure;
}

async function errorOf(response: Response): Promise<ApiError> {
  const usual = { code: String(response.status), error: `The console answered ${response.status} ${response.statusText}`, field: "", retry_after_s: 0 };
  try {
    return { ...usual, ...((await response.json()) as Partial<ApiError>) };
  } catch {
    return usual;
  }
}

/** `GET`, with parameters that are not empty. */
export function get<Answer>(path: string, parameters: Record<string, string | number | undefined> = {}): Promise<Answer> {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value !== undefined && value !== "") query.set(name, String(value));
  }
  return call<Answer>("GET", query.size ? `${path}?${query}` : path);
}

export function post<Answer>(path: string, body?: unknown): Promise<Answer> {
  return call<Answer>("POST", path, body);
}

export async function loadSession(): Promise<void> {
  setSession(await get<SessionInfo>("/api/session"));
}
