/**
 * Derives from each Proc of the model its twin that runs at once: the same function without yields, for the clock gear.
 *
 * A plugin for Vite. In the folders of the model it goes over every function that is a generator or says that it returns a
 * Proc, and adds beside it a function of the same name with `$`:
 *
 *     yield* f(k, x)              f$(k, x) where f has a twin, else atOnce(f(k, x))
 *     yield OP                    passes(OP): the end of a quantum is put off, anything else is a mistake
 *     k.stepping                  false: the bundler drops what is for the step gear
 *     return f(k, x)              the same as for yield*, in a function that is no generator
 *
 * and turns `atOnce(f(k, x))`, wherever the model says it, into `f$(k, x)`. What that means without this plugin stands in
 * core/engine/at_once.ts; results are equal, only speed differs, and a test holds both against each other. A method has a twin if
 * every method of its name in the model has one, since nobody knows here whose method is called.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix, relative } from 'node:path'
import MagicString from 'magic-string'
import { parseAst } from 'vite'
import { ROOT } from './project.mjs'

/** Folders whose functions get twins. */
const FOLDERS = ['sync', 'hw', 'mm', 'machine', 'guest', 'migration', 'run'].map((name) => `core/${name}`)
const MEANING = 'core/engine/at_once.ts'

/**
 * @typedef {any} Node  of the syntax tree, as ESTree and its extension for TypeScript have it
 * @typedef {{ code: string, body: Node[], functions: Set<string>, imports: Map<string, string> }} Module
 */

/** @returns {import('vite').Plugin} */
export function procsAtOnce() {
  /** @type {Map<string, Module>} */
  const modules = new Map()
  /** @type {Set<string>} */
  let methods = new Set()
  return {
    name: 'procs-at-once',
    enforce: 'pre',
    buildStart() {
      modules.clear()
      for (const folder of FOLDERS) {
        if (!existsSync(join(ROOT, folder))) continue
        for (const file of readdirSync(join(ROOT, folder), { recursive: true, encoding: 'utf8' }))
          if (file.endsWith('.ts')) readModule(modules, posix.join(folder, file.replaceAll('\\', '/')))
      }
      methods = methodsWithTwins([...modules.values()])
    },
    transform(code, id) {
      const path = relative(ROOT, id.replace(/\?.*/, '')).replaceAll('\\', '/')
      const module = modules.get(path)
      if (module === undefined || module.code !== code) return null
      const text = new MagicString(code)
      new Twins(text, path, module, modules, methods).add()
      return { code: text.toString(), map: text.generateMap({ hires: 'boundary', source: id }) }
    },
  }
}

/**
 * @param {Map<string, Module>} modules
 * @param {string} path
 */
function readModule(modules, path) {
  const code = readFileSync(join(ROOT, path), 'utf8')
  const { body } = /** @type {Node} */ (parseAst(code, { lang: 'ts' }))
  const functions = new Set()
  const imports = new Map()
  for (const node of body) {
    const declaration = node.declaration ?? node
    if (declaration.type === 'FunctionDeclaration' && isProc(declaration)) functions.add(declaration.id.name)
    if (node.type !== 'ImportDeclaration' || !node.source.value.startsWith('.')) continue
    const from = posix.join(dirname(path), node.source.value)
    for (const { imported, local } of node.specifiers) if (imported?.name === local.name) imports.set(local.name, from)
  }
  modules.set(path, { code, body, functions, imports })
}

/** A generator, or a function that says that it returns a Proc; with a body. @param {Node} fn */
function isProc(fn) {
  if (fn?.body == null || fn.async) return false
  return fn.generator === true || fn.returnType?.typeAnnotation.typeName?.name === 'Proc'
}

/** @param {Node} node */
function isFunction(node) {
  return /Function/.test(node?.type ?? '')
}

/**
 * Names of methods that have a twin wherever they are defined.
 * @param {readonly Module[]} modules
 */
function methodsWithTwins(modules) {
  /** @type {Set<string>} */
  const have = new Set()
  /** @type {Set<string>} */
  const lack = new Set()
  for (const { body } of modules) {
    walk(body, (node) => {
      if (node.type === 'ObjectPattern') return false
      if (node.type === 'MethodDefinition' && isProc(node.value)) have.add(nameOf(node.key))
      if (node.type !== 'Property' && node.type !== 'PropertyDefinition') return true
      if (isProc(node.value) && node.type === 'Property') have.add(nameOf(node.key))
      else if (isFunction(node.value) || (node.value?.type === 'Identifier' && !node.shorthand)) lack.add(nameOf(node.key))
      return true
    })
  }
  return new Set([...have].filter((name) => !lack.has(name)))
}

/** A private name with its sign. @param {Node} key */
function nameOf(key) {
  return key.type === 'PrivateIdentifier' ? `#${key.name}` : key.name
}

/**
 * Visits a tree, parents first; a visitor that answers false keeps out of what lies below.
 * @param {Node | Node[]} node
 * @param {(node: Node) => unknown} visit
 */
function walk(node, visit) {
  if (Array.isArray(node)) {
    for (const one of node) walk(one, visit)
    return
  }
  if (node === null || typeof node !== 'object') return
  if (typeof node.type === 'string' && visit(node) === false) return
  for (const value of Object.values(node)) if (value !== null && typeof value === 'object') walk(value, visit)
}

/** The twins of one module. */
class Twins {
  /** @type {Set<string>} */
  #foreign = new Set()
  #usesMeaning = false
  #text
  #path
  #module
  #modules
  #methods
  /** What is being written into: the module itself, or a copy of it of which one twin is cut. @type {MagicString} */
  #out

  /**
   * @param {MagicString} text
   * @param {string} path
   * @param {Module} module
   * @param {ReadonlyMap<string, Module>} modules
   * @param {ReadonlySet<string>} methods
   */
  constructor(text, path, module, modules, methods) {
    this.#text = text
    this.#out = text
    this.#path = path
    this.#module = module
    this.#modules = modules
    this.#methods = methods
  }

  add() {
    /** @type {string[]} */
    const twins = []
    for (const node of this.#module.body) {
      const declaration = node.declaration ?? node
      if (declaration.type !== 'FunctionDeclaration' || !isProc(declaration)) continue
      twins.push(`export ${this.#twin(declaration, declaration.id, declaration)}`)
    }
    walk(this.#module.body, (node) => {
      if (node.type === 'MethodDefinition' && isProc(node.value)) {
        this.#text.appendLeft(node.end, `\n${this.#twin(node, node.key, node.value)}`)
      } else if (node.type === 'Property' && isProc(node.value) && this.#methods.has(nameOf(node.key))) {
        this.#text.appendLeft(node.end, `,\n${this.#twin(node, node.key, node.value)}`)
      } else if (
        node.type === 'CallExpression' &&
        node.callee.name === 'atOnce' &&
        this.#module.imports.get('atOnce') === MEANING
      ) {
        this.#out = this.#text
        this.#dropCallTo(node)
      }
    })
    for (const name of this.#foreign) twins.push(`import { ${name}$ } from '${this.#from(this.#module.imports.get(name) ?? '')}'`)
    if (this.#usesMeaning) twins.push(`import { atOnce as atOnce$, passes as passes$ } from '${this.#from(MEANING)}'`)
    this.#text.append(`\n${twins.join('\n')}\n`)
  }

  /** @param {string} path */
  #from(path) {
    const way = posix.relative(dirname(this.#path), path)
    return way.startsWith('.') ? way : `./${way}`
  }

  /**
   * @param {Node} whole  what is copied
   * @param {Node} name
   * @param {Node} fn
   */
  #twin(whole, name, fn) {
    const out = this.#text.original
    this.#out = new MagicString(out)
    const star = fn.generator ? out.slice(whole.start, name.start).lastIndexOf('*') : -1
    if (star >= 0) this.#out.remove(whole.start + star, whole.start + star + 1)
    this.#out.appendLeft(name.end, '$')
    if (fn.body.type !== 'BlockStatement') this.#now(fn.body)
    walk([...fn.params, fn.body], (node) => {
      if (isFunction(node)) return false
      if (node.type === 'YieldExpression') this.#yield(node)
      else if (node.type === 'ReturnStatement' && node.argument !== null && !fn.generator) this.#now(node.argument)
      else if (node.type === 'MemberExpression' && node.property.name === 'stepping' && node.object.name === 'k')
        this.#out.overwrite(node.start, node.end, 'false')
      else if (node.type === 'CallExpression' && node.callee.name === 'atOnce') this.#dropCallTo(node)
      return true
    })
    return this.#out.slice(whole.start, whole.end)
  }

  /** @param {Node} node */
  #yield(node) {
    const { argument } = node
    if (!node.delegate) {
      this.#usesMeaning = true
      this.#out.overwrite(node.start, argument.start, 'passes$(')
      this.#out.appendLeft(argument.end, ')')
      return
    }
    this.#out.remove(node.start, argument.start)
    this.#now(argument)
  }

  /** `atOnce(E)`: E at once. @param {Node} node */
  #dropCallTo(node) {
    const [argument] = node.arguments
    if (argument.type !== 'CallExpression' || !this.#hasTwin(argument.callee)) return
    this.#out.remove(node.start, argument.start)
    this.#out.remove(argument.end, node.end)
    this.#now(argument)
  }

  /** An expression of a Proc becomes one of its answer. @param {Node} node */
  #now(node) {
    if (node.type === 'ConditionalExpression') {
      this.#now(node.consequent)
      this.#now(node.alternate)
    } else if (node.type === 'CallExpression' && this.#hasTwin(node.callee)) {
      const { callee } = node
      if (callee.type === 'Identifier' && !this.#module.functions.has(callee.name)) this.#foreign.add(callee.name)
      this.#out.appendLeft(callee.end, '$')
    } else {
      this.#usesMeaning = true
      this.#out.prependRight(node.start, 'atOnce$(')
      this.#out.appendLeft(node.end, ')')
    }
  }

  /** @param {Node} callee */
  #hasTwin(callee) {
    if (callee.type === 'MemberExpression') return !callee.computed && this.#methods.has(nameOf(callee.property))
    if (callee.type !== 'Identifier') return false
    const { functions, imports } = this.#module
    if (functions.has(callee.name)) return true
    return this.#modules.get(imports.get(callee.name) ?? '')?.functions.has(callee.name) === true
  }
}
