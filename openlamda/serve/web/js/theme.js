// Sets the chosen theme before the page is drawn, so that a dark page never flashes white. Runs before all modules.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "system";
} catch {
  document.documentElement.dataset.theme = "system"; // storage is switched off
}
