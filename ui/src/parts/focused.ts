/** An action: what it stands on has the focus as soon as it is there. */
export function focused(element: HTMLElement): void {
  element.focus();
}
