import { join } from '/falsework.js'

const form = document.querySelector('form')
let task = await join()
show()

function show() {
  form.hidden = !task
  if (!task) return
  document.querySelector('#question').textContent = task.data.question
  form.answer.focus()
}

form.addEventListener('submit', async event => {
  event.preventDefault()
  if (!(await task.submit({ answer: form.answer.value }))) return
  task = await task.next()
  show()
})
