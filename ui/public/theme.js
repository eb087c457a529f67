// Runs before the first paint: the chosen theme, else the system's, so that nothing flashes.
(function () {
  var root = document.documentElement;
  var dark = matchMedia('(prefers-color-scheme: dark)');
  function apply() {
    var chosen = null;
    try {
      chosen = localStorage.getItem('musher.theme');
      root.dataset.density = localStorage.getItem('musher.density') || 'comfortable';
    } catch (_) {}
    root.dataset.theme =
      chosen === 'light' || chosen === 'dark' ? chosen : dark.matches ? 'dark' : 'light';
  }
  apply();
  dark.addEventListener('change', apply);
  addEventListener('musher-look', apply);
})();
