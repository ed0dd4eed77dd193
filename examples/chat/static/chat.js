/* Two workers talk. What is said goes to the launcher (chat.py), which sends it to both. */

import { join } from '/falsework.js'

const find = id => document.getElementById(id)
const { text } = find('composer').elements
const TYPING_LASTS = 4000

let task = await join()
let transcript = []
let hasPartner = false
let isRating = false
let typingSeen = 0
let typingSaid = 0
show()

find('composer').addEventListener('submit', say)
text.addEventListener('keydown', sendOnEnter)
text.addEventListener('input', sayTyping)
find('finish').addEventListener('click', () => rate(true))
find('back').addEventListener('click', () => rate(false))
find('rating').addEventListener('submit', handIn)

/** Set the page up for a unit, or put everything away when there is none. */
function show() {
  transcript = []
  isRating = false
  find('messages').replaceChildren()
  setPartner(false, 'Your partner is not here yet.')
  if (!task) return
  find('topic').textContent = task.data.topic
  find('hint').textContent = task.data.hint
  task.onstatus = follow
  task.onupdate = read
}

/** What the launcher says of us. */
function follow(status) {
  if (status === 'in task') setPartner(true, 'Your partner is here.')
  if (status === 'partner disconnect') partWays()
}

/** What chat.py sends. After a reload everything comes again, from the beginning. */
function read(update) {
  if (update.type === 'start') setPartner(true, 'Your partner is here.')
  if (update.type === 'message') hear(update)
  if (update.type === 'typing') showTyping()
  if (update.type === 'finished') setPartner(true, 'Your partner is about to finish.')
  if (update.type === 'left') partWays()
}

function hear({ id, text, from }) {
  if (transcript.some(message => message.id === id)) return
  const isMine = from === task.agentId
  transcript.push({ id, from: isMine ? 'me' : 'partner', text })
  if (isMine) line(id, text, 'mine')
  else {
    line(id, text, 'theirs')
    setPartner(true, '')
  }
}

/** Show a message; one that was on its way before is now there. */
function line(id, text, kind) {
  const item = find(`message-${id}`) ?? document.createElement('li')
  item.id = `message-${id}`
  item.className = kind
  const writer = document.createElement('span')
  writer.className = 'unseen'
  writer.textContent = kind === 'theirs' ? 'Partner: ' : 'You: '
  item.replaceChildren(writer, text)
  if (!item.isConnected) find('messages').append(item)
  find('messages').scrollTop = find('messages').scrollHeight
}

function say(event) {
  event.preventDefault()
  const said = text.value.trim()
  text.focus()
  if (!said || !hasPartner) return
  const id = Array.from(crypto.getRandomValues(new Uint32Array(3)), part => part.toString(36)).join('')
  line(id, said, 'mine sending')
  task.send({ type: 'message', id, text: said })
  text.value = ''
  typingSaid = 0
}

/** Enter sends, Shift and Enter begins a new line; while an input method composes a character, Enter is its own. */
function sendOnEnter(event) {
  if (event.key !== 'Enter' || event.shiftKey || event.isComposing) return
  event.preventDefault()
  find('composer').requestSubmit()
}

function sayTyping() {
  if (!hasPartner || Date.now() - typingSaid < TYPING_LASTS / 2) return
  typingSaid = Date.now()
  task.send({ type: 'typing' })
}

function showTyping() {
  typingSeen = Date.now()
  find('partner').textContent = 'Your partner is typing…'
  setTimeout(() => {
    const isOver = Date.now() - typingSeen >= TYPING_LASTS
    if (isOver && find('partner').textContent.includes('typing')) find('partner').textContent = ''
  }, TYPING_LASTS)
}

function setPartner(isHere, sentence) {
  hasPartner = isHere
  find('partner').textContent = sentence
  arrange()
}

/** Show what can be done now. */
function arrange() {
  find('talk').hidden = !task || isRating
  find('rating').hidden = !task || !isRating
  find('finish').hidden = isRating || !hasPartner
  find('back').hidden = find('send').disabled = !hasPartner
}

function partWays() {
  setPartner(false, 'Your partner has left. Please rate the talk and hand it in.')
  rate(true)
}

/** Go to the rating, or back to the talk. */
function rate(isFinishing) {
  isRating = isFinishing
  arrange()
  if (isRating && hasPartner) task.send({ type: 'finished' })
  if (isRating) find('rating-title').focus()
  else text.focus()
}

async function handIn(event) {
  event.preventDefault()
  const { rating, comment } = find('rating').elements
  const talk = transcript.map(({ from, text }) => ({ from, text }))
  const answer = { rating: Number(rating.value), comment: comment.value.trim(), transcript: talk }
  if (!(await task.submit(answer))) return
  task = await task.next()
  show()
}
