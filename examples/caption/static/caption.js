import { join } from '/falsework.js'

const form = document.querySelector('form')
const picture = document.querySelector('#picture')
const { text, attachment } = form.elements

let task = await join()
show()
text.addEventListener('input', count)
form.addEventListener('submit', handIn)

function show() {
  form.hidden = !task
  if (!task) return
  picture.src = task.data.image
  document.querySelector('#prompt').textContent = task.data.prompt
  count()
  scrollTo(0, 0)
  text.focus({ preventScroll: true })
}

function count() {
  document.querySelector('#count').textContent = `${text.value.length} of ${text.maxLength} characters`
  text.setCustomValidity(text.value.trim() ? '' : 'Please write a few words.')
}

async function handIn(event) {
  event.preventDefault()
  form.ariaBusy = 'true'
  const isHandedIn = await task.submit({ text: text.value.trim() }, { attachment: attachment.files })
  form.ariaBusy = 'false'
  if (!isHandedIn) return
  task = await task.next()
  show()
}
