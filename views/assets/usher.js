// A help for those with JavaScript, nothing more: every page works without it.
for (const button of document.querySelectorAll('.reveal-button')) {
  const input = document.getElementById(button.getAttribute('aria-controls'))
  button.hidden = false
  button.addEventListener('click', () => {
    const shown = input.type === 'password'
    input.type = shown ? 'text' : 'password'
    button.setAttribute('aria-pressed', String(shown))
    input.focus()
  })
  // A password must not stay readable when the page is kept, or be offered as remembered text.
  input.form.addEventListener('submit', () => {
    input.type = 'password'
  })
}

// How long a new password is so far. Said after a pause, so that screen readers do not read every key.
for (const status of document.querySelectorAll('.length')) {
  const { of, least, counting, enough } = status.dataset
  let timer
  document.getElementById(of).addEventListener('input', ({ target }) => {
    clearTimeout(timer)
    timer = setTimeout(() => {
      const typed = [...target.value.normalize('NFKC')].length
      status.hidden = typed === 0
      status.textContent = typed < Number(least) ? counting.replace('#', typed) : enough
    }, 400)
  })
}

const local = new Intl.DateTimeFormat(document.documentElement.lang, { dateStyle: 'medium', timeStyle: 'short' })
for (const time of document.querySelectorAll('time.local')) time.textContent = local.format(new Date(time.dateTime))
