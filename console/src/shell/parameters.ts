/** The parameters with which a page was opened (`/builder?legs=…`). They stay: a first render may be thrown away. */
export const takeParameters = (): URLSearchParams => new URLSearchParams(location.search);
