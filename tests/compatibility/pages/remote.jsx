/* A task that asks the launcher to compute something, by the package's remote procedures. */
import React from 'react'
import ReactDOM from 'react-dom'
import { useMephistoRemoteProcedureTask } from 'mephisto-task'
import { WhoIsHere, situationOf } from './situation.jsx'

function App() {
  const [sum, setSum] = React.useState('')
  const task = useMephistoRemoteProcedureTask({})
  const add = task.remoteProcedure('add')
  return (
    situationOf(task) ?? (
      <>
        <WhoIsHere task={task} />
        <button onClick={() => add({ numbers: task.initialTaskData.numbers }).then(setSum)}>Add</button>
        <output aria-label="Sum">{sum}</output>
        <button onClick={() => task.handleSubmit({ sum })}>Submit</button>
      </>
    )
  )
}

ReactDOM.render(<App />, document.getElementById('app'))
