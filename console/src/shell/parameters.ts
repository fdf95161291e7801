/** The parameters with which a page was opened (`/builder?legs=…`), taken out of the address: the next page has none. */
export function takeParameters(): URLSearchParams {
  const found = new URLSearchParams(location.search);
  if (found.size) history.replaceState(history.state, "", location.pathname + location.hash);
  return found;
}
