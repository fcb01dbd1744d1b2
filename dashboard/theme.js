// Light or dark: as the system has it, until the user says otherwise.

const KEY = "tradewind-theme";
const dark = matchMedia("(prefers-color-scheme: dark)");

const stored = () => {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage may be forbidden
  }
};

const current = () => document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light");

/** Makes `button` the switch. */
export function setUpTheme(button) {
  const apply = (theme) => {
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
    button.ariaPressed = String(current() === "dark");
  };
  apply(stored());
  dark.addEventListener("change", () => apply(stored()));
  button.addEventListener("click", () => {
    const theme = current() === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // then it holds for this page only
    }
    apply(theme);
  });
}
